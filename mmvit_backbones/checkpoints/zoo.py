"""Where the authors' weights are."""
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Optional
from urllib.error import URLError
from urllib.request import urlopen

from mmengine.dist import barrier, is_main_process
from rich.progress import wrap_file

from ..files import replacing
from .read import CheckpointError

SCHEME = 'mmvit://'


@dataclass(frozen=True)
class Weights:
    """A file that a paper's authors have published.

    Attributes:
        file: Its name in `weights_folder`; the authors' own, except where they name a folder.
        url: From where it can be fetched; None where the authors only have a folder for people.
        page: The page or folder that offers it; None where the authors have not published it.
        licence: Of the authors' repository.
        data: What it was trained on, and the image size.
    """
    file: str
    url: Optional[str]
    page: Optional[str]
    licence: str
    data: str


def _cswin(file: str, data: str) -> Weights:
    releases = 'https://github.com/microsoft/CSWin-Transformer/releases'
    return Weights(file, f'{releases}/download/v0.1.0/{file}', f'{releases}/tag/v0.1.0', 'MIT', data)


def _pvt(file: str) -> Weights:
    releases = 'https://github.com/whai362/PVT/releases'
    return Weights(file, f'{releases}/download/v2/{file}', f'{releases}/tag/v2', 'Apache-2.0', 'ImageNet-1k, 224')


def _swin(file: str, data: str) -> Weights:
    releases = 'https://github.com/SwinTransformer/storage/releases'
    return Weights(file, f'{releases}/download/v1.0.0/{file}', f'{releases}/tag/v1.0.0', 'MIT', data)


def _twins(file: str) -> Weights:
    return _page(file, 'Meituan-AutoML/Twins', 'Apache-2.0')


# Swin's files without an address here: their names follow the others', unverified (MoBY's: as recollected).
_SWIN = 'https://github.com/microsoft/Swin-Transformer'
_MOBY = 'https://github.com/SwinTransformer/Transformer-SSL'


def _page(file: str, repository: str, licence: str, image_size: int = 224) -> Weights:
    return Weights(file, None, f'https://github.com/{repository}', licence, f'ImageNet-1k, {image_size}')


ZOO: Dict[str, Weights] = {
    'cswin/tiny': _cswin('cswin_tiny_224.pth', 'ImageNet-1k, 224'),
    'cswin/small': _cswin('cswin_small_224.pth', 'ImageNet-1k, 224'),
    'cswin/base': _cswin('cswin_base_224.pth', 'ImageNet-1k, 224'),
    'cswin/base_22k': Weights('cswin_base_22k_224.pth', None, None, 'MIT', 'ImageNet-22k, 224'),
    'cswin/base_384': _cswin('cswin_base_384.pth', 'ImageNet-1k, 384'),
    'cswin/large': _cswin('cswin_large_224.pth', 'ImageNet-22k, then 1k, 224'),
    'cswin/large_22k': _cswin('cswin_large_22k_224.pth', 'ImageNet-22k, 224'),
    'cswin/large_384': _cswin('cswin_large_384.pth', 'ImageNet-22k, then 1k, 384'),
    'fcvit/tiny': _page('fcvit_tiny.pth.tar', 'ma-xu/FCViT', 'Apache-2.0'),
    'fcvit/b12': _page('fcvit_b12.pth.tar', 'ma-xu/FCViT', 'Apache-2.0'),
    'fcvit/b24': _page('fcvit_b24.pth.tar', 'ma-xu/FCViT', 'Apache-2.0'),
    'fcvit/b48': _page('fcvit_b48.pth.tar', 'ma-xu/FCViT', 'Apache-2.0'),
    'pvt/tiny': _pvt('pvt_tiny.pth'),
    'pvt/small': _pvt('pvt_small.pth'),
    'pvt/medium': _pvt('pvt_medium.pth'),
    'pvt/large': _pvt('pvt_large.pth'),
    'pvt_v2/b0': _pvt('pvt_v2_b0.pth'),
    'pvt_v2/b1': _pvt('pvt_v2_b1.pth'),
    'pvt_v2/b2': _pvt('pvt_v2_b2.pth'),
    'pvt_v2/b2_li': _pvt('pvt_v2_b2_li.pth'),
    'pvt_v2/b3': _pvt('pvt_v2_b3.pth'),
    'pvt_v2/b4': _pvt('pvt_v2_b4.pth'),
    'pvt_v2/b5': _pvt('pvt_v2_b5.pth'),
    'sg_former/s': _page('SG-Former-S.pth', 'OliverRensu/SG-Former', 'none'),
    'sg_former/m': _page('SG-Former-M.pth', 'OliverRensu/SG-Former', 'none'),
    'sg_former/b': _page('SG-Former-B.pth', 'OliverRensu/SG-Former', 'none'),
    'shuffle_transformer/tiny': _page('shuffle_transformer_tiny.pth', 'mulinmeng/Shuffle-Transformer', 'MIT'),
    'shuffle_transformer/small': _page('shuffle_transformer_small.pth', 'mulinmeng/Shuffle-Transformer', 'MIT'),
    'shuffle_transformer/base': _page('shuffle_transformer_base.pth', 'mulinmeng/Shuffle-Transformer', 'MIT'),
    'swin/tiny': _swin('swin_tiny_patch4_window7_224.pth', 'ImageNet-1k, 224'),
    'swin/tiny_22k': Weights('swin_tiny_patch4_window7_224_22k.pth', None, _SWIN, 'MIT', 'ImageNet-22k, 224'),
    'swin/tiny_moby': Weights('moby_swin_t_300ep_pretrained.pth', None, _MOBY, 'MIT', 'ImageNet-1k, no labels, 224'),
    'swin/small': _swin('swin_small_patch4_window7_224.pth', 'ImageNet-1k, 224'),
    'swin/small_22k': Weights('swin_small_patch4_window7_224_22k.pth', None, _SWIN, 'MIT', 'ImageNet-22k, 224'),
    'swin/base': _swin('swin_base_patch4_window7_224.pth', 'ImageNet-1k, 224'),
    'swin/base_22k': Weights('swin_base_patch4_window7_224_22k.pth', None, _SWIN, 'MIT', 'ImageNet-22k, 224'),
    'swin/base_22kto1k': _swin('swin_base_patch4_window7_224_22kto1k.pth', 'ImageNet-22k, then 1k, 224'),
    'swin/base_window12_384': _swin('swin_base_patch4_window12_384.pth', 'ImageNet-1k, 384'),
    'swin/base_window12_384_22k': _swin('swin_base_patch4_window12_384_22k.pth', 'ImageNet-22k, 384'),
    'swin/base_window12_384_22kto1k': _swin('swin_base_patch4_window12_384_22kto1k.pth', 'ImageNet-22k, then 1k, 384'),
    'swin/large': _swin('swin_large_patch4_window7_224_22kto1k.pth', 'ImageNet-22k, then 1k, 224'),
    'swin/large_22k': Weights('swin_large_patch4_window7_224_22k.pth', None, _SWIN, 'MIT', 'ImageNet-22k, 224'),
    'swin/large_window12_384': _swin('swin_large_patch4_window12_384_22kto1k.pth', 'ImageNet-22k, then 1k, 384'),
    'swin/large_window12_384_22k': _swin('swin_large_patch4_window12_384_22k.pth', 'ImageNet-22k, 384'),
    't2t_vit/t2t_vit_7': _page('t2t_vit_7.pth.tar', 'yitu-opensource/T2T-ViT', 'Clear BSD'),
    't2t_vit/t2t_vit_10': _page('t2t_vit_10.pth.tar', 'yitu-opensource/T2T-ViT', 'Clear BSD'),
    't2t_vit/t2t_vit_12': _page('t2t_vit_12.pth.tar', 'yitu-opensource/T2T-ViT', 'Clear BSD'),
    't2t_vit/t2t_vit_14': _page('t2t_vit_14.pth.tar', 'yitu-opensource/T2T-ViT', 'Clear BSD'),
    't2t_vit/t2t_vit_14_384': _page('t2t_vit_14_384.pth.tar', 'yitu-opensource/T2T-ViT', 'Clear BSD', 384),
    't2t_vit/t2t_vit_19': _page('t2t_vit_19.pth.tar', 'yitu-opensource/T2T-ViT', 'Clear BSD'),
    't2t_vit/t2t_vit_24': _page('t2t_vit_24.pth.tar', 'yitu-opensource/T2T-ViT', 'Clear BSD'),
    't2t_vit/t2t_vit_t_14': _page('t2t_vit_t_14.pth.tar', 'yitu-opensource/T2T-ViT', 'Clear BSD'),
    't2t_vit/t2t_vit_t_19': _page('t2t_vit_t_19.pth.tar', 'yitu-opensource/T2T-ViT', 'Clear BSD'),
    't2t_vit/t2t_vit_t_24': _page('t2t_vit_t_24.pth.tar', 'yitu-opensource/T2T-ViT', 'Clear BSD'),
    'twins_pcpvt/small': _twins('pcpvt_small.pth'),
    'twins_pcpvt/base': _twins('pcpvt_base.pth'),
    'twins_pcpvt/large': _twins('pcpvt_large.pth'),
    'twins_svt/small': _twins('alt_gvt_small.pth'),
    'twins_svt/base': _twins('alt_gvt_base.pth'),
    'twins_svt/large': _twins('alt_gvt_large.pth'),
}
"""{name after ``mmvit://``: file}. A variant's own name gives its ImageNet-1k weights (fine-tuned, where the authors
pre-trained it on ImageNet-22k); the suffix ``_22k`` the weights before fine-tuning, ``_22kto1k`` those after it where
the authors trained on ImageNet-1k alone too, ``_moby`` weights trained without labels."""


def weights_folder() -> Path:
    """``$MMVIT_WEIGHTS``, or where it isn't set, the folder ``weights`` in the current one."""
    return Path(os.environ.get('MMVIT_WEIGHTS', 'weights')).expanduser()


def locate(source: str, fetch: bool = True) -> Path:
    """The local file of a checkpoint, fetched first where that is needed.

    Args:
        source: Path, ``http(s)://`` URL, or ``mmvit://<name of ZOO>``. Fetched files are kept in `weights_folder`,
            and one that is already there is used.
        fetch: False only tells where the file is, or will be once it is fetched.

    Raises:
        CheckpointError: It can't be had; the message says where to get it and where to put it.
    """
    if source.startswith(SCHEME):
        name = source[len(SCHEME):]
        if name not in ZOO:
            raise CheckpointError(f'{source} is not known. Known names: {", ".join(ZOO)}')
        weights = ZOO[name]
    elif source.startswith(('http://', 'https://')):
        weights = Weights(source.rsplit('/', 1)[1].split('?')[0], source, source, '', '')
    elif '://' in source:
        raise CheckpointError(f'{source}: expected a path, an http(s):// URL or {SCHEME}<family>/<variant>')
    else:
        return Path(source).expanduser()
    target = weights_folder() / weights.file
    advice = f'Get the weights from {weights.page}' if weights.page else f'If you have trained such weights, call them {weights.file}'
    advice += f' and put the file at {target.absolute()} (or set MMVIT_WEIGHTS to its folder)'
    if not target.is_file():
        if weights.url is None:
            why = 'its page has no address for programs' if weights.page else 'the authors have not published it'
            raise CheckpointError(f'{source} is not here, and {why}. {advice}.')
        if not fetch:
            return target
        if is_main_process():
            _fetch(weights.url, target, advice)
        barrier()
        if not target.is_file():  # another machine of the job, with a disk of its own
            _fetch(weights.url, target, advice)
    return target


def _fetch(url: str, target: Path, advice: str) -> None:
    """Downloads to a temporary file, checks its size, and only then gives it its name."""
    try:
        with replacing(target) as part:
            with urlopen(url, timeout=30) as response, part.open('wb') as file:
                size = int(response.headers.get('Content-Length', 0))
                with wrap_file(response, size, description=target.name) as body:
                    shutil.copyfileobj(body, file, 1 << 20)
            got = part.stat().st_size
            if size and got != size:
                raise CheckpointError(f'{url} broke off after {got:,} of {size:,} bytes. Try again. {advice}.')
    except (URLError, OSError) as error:
        raise CheckpointError(f'{url} could not be fetched ({error}). {advice}.') from error
