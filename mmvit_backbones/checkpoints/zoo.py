"""Where the authors' weights are."""
import hashlib
import logging
import os
import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Dict, Optional, Tuple
from urllib.parse import unquote

from mmengine.dist import all_gather_object, is_main_process
from mmengine.logging import print_log

from .download import check, download, one_line
from .read import CheckpointError

SCHEME = 'mmvit://'


@dataclass(frozen=True)
class Preprocess:
    """How a classifier's authors bring an image to it when they evaluate it: resized, cropped in the middle, normalised.

    Attributes:
        size: Height and width of what the classifier sees, in pixels.
        crop: Length of the crop as a share of the short side, which is resized to ``floor(size / crop)``. None where
            both sides are resized to ``size``, whatever the shape of the image, and nothing is cropped.
        interpolation: Of Pillow's resizing.
        mean, std: Of the RGB values, from 0 to 1.
    """
    size: int = 224
    crop: Optional[float] = 0.875
    interpolation: str = 'bicubic'
    mean: Tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: Tuple[float, float, float] = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Weights:
    """Weights that a paper's authors have published, unless the name says whose they are.

    Attributes:
        file: Name of the authors' file in `weights_folder`; their own, except where they name a folder.
        url: From where it can be fetched; None where the authors only have a folder for people.
        page: The page or folder that offers it; None where there is none.
        licence: Of the authors' repository.
        data: What they were trained on, and the image size.
        others: Addresses of the same weights elsewhere. Their names end in the first digits of the file's SHA-256.
        preprocess: What their authors evaluate them with; None where that is not known, or there is no classifier.
    """
    file: str
    url: Optional[str]
    page: Optional[str]
    licence: str
    data: str
    others: Tuple[str, ...] = ()
    preprocess: Optional[Preprocess] = Preprocess()

    @property
    def sources(self) -> Dict[str, str]:
        """{name of a file in `weights_folder`: its address}, in the order in which they are tried."""
        return {**({self.file: self.url} if self.url else {}), **{url.rsplit('/', 1)[1]: url for url in self.others}}


def _cait(file: str) -> Weights:
    url = f'https://dl.fbaipublicfiles.com/deit/{file}'  # as timm 1.0 has it
    size = int(file[-7:-4])
    return Weights(file, url, 'https://github.com/facebookresearch/deit', 'Apache-2.0', f'ImageNet-1k, {size}',
                   preprocess=Preprocess(size, 1.))


def _cswin(file: str, data: str, preprocess: Optional[Preprocess] = Preprocess(crop=0.9)) -> Weights:
    releases = 'https://github.com/microsoft/CSWin-Transformer/releases'
    url = f'{releases}/download/v0.1.0/{file}'
    return Weights(file, url, f'{releases}/tag/v0.1.0', 'MIT', data, preprocess=preprocess)


def _pvt(file: str) -> Weights:
    releases = 'https://github.com/whai362/PVT/releases'
    return Weights(file, f'{releases}/download/v2/{file}', f'{releases}/tag/v2', 'Apache-2.0', 'ImageNet-1k, 224')


# From the metafiles of mmpretrain 1.3 (configs/*/metafile.yml): the fields Weights, and Converted From where the authors
# have no address. Twins' metafile names the file of PCPVT-S as the origin of all six; it is that of PCPVT-S alone.
_OPENMMLAB = 'https://mmassets.onedl.ai/mmclassification/v0'
_TIMM = 'https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-vt3p-weights'


def _swin(file: str, data: str, digits: str = '', preprocess: Optional[Preprocess] = Preprocess()) -> Weights:
    releases = 'https://github.com/SwinTransformer/storage/releases'
    others = (f'{_OPENMMLAB}/swin-transformer/convert/{file[:-4]}-{digits}.pth', ) if digits else ()
    return Weights(file, f'{releases}/download/v1.0.0/{file}', f'{releases}/tag/v1.0.0', 'MIT', data, others, preprocess)


def _swin_v2(file: str, data: str, other: str) -> Weights:
    releases = 'https://github.com/SwinTransformer/storage/releases'
    others = (f'{_OPENMMLAB}/swin-v2/{other}', )
    size = int(data[-3:])
    preprocess = Preprocess(size, None if size == 384 else 0.875)
    return Weights(file, f'{releases}/download/v2.0.0/{file}', f'{releases}/tag/v2.0.0', 'MIT', data, others, preprocess)


def _mvit(letter: str, pretrain: str, converted: str = '') -> Weights:
    file = f'MViTv2_{letter}_{pretrain}.pyth'
    url = f'https://dl.fbaipublicfiles.com/mvit/mvitv2_models/{file}'  # of ImageNet-21k: as timm 1.0 has it
    others = (f'{_OPENMMLAB}/mvit/mvitv2-{converted}.pth', ) if converted else ()
    page = 'https://github.com/facebookresearch/mvit'
    preprocess = Preprocess() if pretrain == 'in1k' else None
    return Weights(file, url, page, 'Apache-2.0', f'ImageNet-{pretrain[2:]}, 224', others, preprocess)


def _deit(file: str, size: int = 224, pretrain: str = '', crop: Optional[float] = 0.875) -> Weights:
    url = f'https://dl.fbaipublicfiles.com/deit/{file}'  # as timm 1.0 has it
    preprocess = None if crop is None else Preprocess(size, crop)
    data = f'ImageNet-{pretrain}1k, {size}'
    return Weights(file, url, 'https://github.com/facebookresearch/deit', 'Apache-2.0', data, preprocess=preprocess)


def _deit_iii(name: str, size: int = 224, crop: Optional[float] = 1., end: str = '') -> Dict[str, Weights]:
    variant = f'deit/deit_{name}_LS{"" if size == 224 else f"_{size}"}'
    start = f'deit_3_{name.split("_")[0]}_{size}'
    return {variant: _deit(f'{start}_1k.pth', size, '', crop),
            f'{variant}_22kto1k': _deit(f'{start}_21k{end}.pth', size, '21k, then ', crop)}


def _t2t_openmmlab(file: str) -> Weights:
    page = 'https://github.com/open-mmlab/mmpretrain/tree/main/configs/t2t_vit'
    others = (f'{_OPENMMLAB}/t2t-vit/{file}', )
    return Weights(file, None, page, 'Apache-2.0', 'ImageNet-1k, 224', others, Preprocess(crop=0.9))


def _tnt(file: str, page: str, tag: str, *others: str) -> Weights:
    url = f'https://github.com/{page}/releases/download/{tag}/{file}'
    page = f'https://github.com/{page}/releases/tag/{tag}'
    return Weights(file, url, page, 'Apache-2.0', 'ImageNet-1k, 224', others, _halves(224, 0.9))


def _twins(file: str, *others: str) -> Weights:
    return replace(_page(file, 'Meituan-AutoML/Twins', 'Apache-2.0'), others=others)


# Swin's files without an address here: their names follow the others', unverified (MoBY's: as recollected). ELSA's
# and PS-ViT's: ours.
_SWIN = 'https://github.com/microsoft/Swin-Transformer'
_MOBY = 'https://github.com/SwinTransformer/Transformer-SSL'
_STRETCHED = Preprocess(384, None)


def _page(file: str, repository: str, licence: str, preprocess: Preprocess = Preprocess()) -> Weights:
    data = f'ImageNet-1k, {preprocess.size}'
    return Weights(file, None, f'https://github.com/{repository}', licence, data, preprocess=preprocess)


def _halves(size: int, crop: float) -> Preprocess:
    return Preprocess(size, crop, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def _deepvit(file: str) -> Weights:
    return _page(file, 'zhoudaquan/dvit_repo', 'MIT', _halves(224, 0.9))


def _vitae(file: str) -> Weights:
    return _page(file, 'ViTAE-Transformer/ViTAE-Transformer', 'none', Preprocess(crop=0.9))


# ViT's addresses and preprocessing: as timm 1.0 has them. OpenMMLab's: from mmpretrain's metafile and config.
_VIT = 'https://github.com/google-research/vision_transformer'
_AUGREG = dict(
    tiny='Ti_16-i21k-300ep-lr_0.001-aug_none-wd_0.03-do_0.0-sd_0.0',
    small='S_16-i21k-300ep-lr_0.001-aug_light1-wd_0.03-do_0.0-sd_0.0',
    small_1k='S_16-i1k-300ep-lr_0.001-aug_medium2-wd_0.1-do_0.0-sd_0.0',
    base='B_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.0-sd_0.0',
    base_1k='B_16-i1k-300ep-lr_0.001-aug_strong2-wd_0.1-do_0.1-sd_0.1',
    large='L_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.1-sd_0.1')


def _augreg(pretrained: str, tuned: str = '') -> Weights:
    """Google's files, which say how they were trained: first, and then for 20k steps at the size in the end."""
    file = f'{pretrained}--imagenet2012-steps_20k-{tuned}.npz' if tuned else f'{pretrained}.npz'
    size = int(tuned[-3:] or 224)
    data = 'ImageNet-1k' if '-i1k-' in file else 'ImageNet-21k, then 1k' if tuned else 'ImageNet-21k'
    preprocess = _halves(size, 0.9 if size == 224 else 1.) if tuned else None
    url = f'https://storage.googleapis.com/vit_models/augreg/{file}'
    return Weights(file, url, _VIT, 'Apache-2.0', f'{data}, {size}', preprocess=preprocess)


def _vit_orig(file: str, size: int, crop: float) -> Weights:
    others = (f'https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-vitjx/{file}', )
    preprocess = _halves(size, crop)
    return Weights(file, None, _VIT, 'Apache-2.0', f'ImageNet-21k, then 1k, {size}', others, preprocess)


def _unlabelled(repository: str, folder: str, file: str, licence: str) -> Weights:
    url = f'https://dl.fbaipublicfiles.com/{folder}/{file}'
    page = f'https://github.com/facebookresearch/{repository}'
    return Weights(file, url, page, licence, 'ImageNet-1k, no labels, 224', preprocess=None)


def _lv_vit(file: str, size: int = 224, crop: float = 1.) -> Weights:
    return _page(file, 'zihangJiang/TokenLabeling', 'Apache-2.0', Preprocess(size, crop))


# The names of HRFormer's files are as recollected, those of DeepViT's ours; those of ViTAE's follow ViTAEv2's, and
# LV-ViT's m and l end as s does, unverified. CeiT's come in one archive; their names are ours.
ZOO: Dict[str, Weights] = {
    'cait/cait_XXS24_224': _cait('XXS24_224.pth'),
    'cait/cait_XXS24': _cait('XXS24_384.pth'),
    'cait/cait_XXS36_224': _cait('XXS36_224.pth'),
    'cait/cait_XXS36': _cait('XXS36_384.pth'),
    'cait/cait_XS24': _cait('XS24_384.pth'),
    'cait/cait_S24_224': _cait('S24_224.pth'),
    'cait/cait_S24': _cait('S24_384.pth'),
    'cait/cait_S36': _cait('S36_384.pth'),
    'cait/cait_M36': _cait('M36_384.pth'),
    'cait/cait_M48': _cait('M48_448.pth'),
    'ceit/ceit_t': _page('ceit_t.pth', 'coeusguo/ceit', 'Apache-2.0'),
    'ceit/ceit_t_384': _page('ceit_t_384.pth', 'coeusguo/ceit', 'Apache-2.0', Preprocess(384)),
    'ceit/ceit_s': _page('ceit_s.pth', 'coeusguo/ceit', 'Apache-2.0'),
    'ceit/ceit_s_384': _page('ceit_s_384.pth', 'coeusguo/ceit', 'Apache-2.0', Preprocess(384)),
    'ceit/ceit_b': _page('ceit_b.pth', 'coeusguo/ceit', 'Apache-2.0'),
    'cswin/tiny': _cswin('cswin_tiny_224.pth', 'ImageNet-1k, 224'),
    'cswin/small': _cswin('cswin_small_224.pth', 'ImageNet-1k, 224'),
    'cswin/base': _cswin('cswin_base_224.pth', 'ImageNet-1k, 224'),
    'cswin/base_22k': Weights('cswin_base_22k_224.pth', None, None, 'MIT', 'ImageNet-22k, 224', preprocess=None),
    'cswin/base_384': _cswin('cswin_base_384.pth', 'ImageNet-1k, 384', Preprocess(384, 1.)),
    'cswin/large': _cswin('cswin_large_224.pth', 'ImageNet-22k, then 1k, 224'),
    'cswin/large_22k': _cswin('cswin_large_22k_224.pth', 'ImageNet-22k, 224', None),
    'cswin/large_384': _cswin('cswin_large_384.pth', 'ImageNet-22k, then 1k, 384', Preprocess(384, 1.)),
    'deepvit/deepvit_S': _deepvit('deepvit_s.pth.tar'),
    'deepvit/deepvit_L': _deepvit('deepvit_l.pth.tar'),
    'deepvit/deepvit_patch16_224_re_attn_24b': _deepvit('deepvit_24b.pth.tar'),
    'deepvit/deepvit_patch16_224_re_attn_32b': _deepvit('deepvit_32b.pth.tar'),
    'deit/deit_tiny_patch16_224': _deit('deit_tiny_patch16_224-a1311bcf.pth'),
    'deit/deit_small_patch16_224': _deit('deit_small_patch16_224-cd65a155.pth'),
    'deit/deit_base_patch16_224': _deit('deit_base_patch16_224-b5f2ef4d.pth'),
    'deit/deit_base_patch16_384': _deit('deit_base_patch16_384-8de9b5d1.pth', 384),
    'deit/deit_tiny_distilled_patch16_224': _deit('deit_tiny_distilled_patch16_224-b40b3cf7.pth'),
    'deit/deit_small_distilled_patch16_224': _deit('deit_small_distilled_patch16_224-649709d9.pth'),
    'deit/deit_base_distilled_patch16_224': _deit('deit_base_distilled_patch16_224-df68dfff.pth'),
    'deit/deit_base_distilled_patch16_384': _deit('deit_base_distilled_patch16_384-d0272ac0.pth', 384),
    **_deit_iii('small_patch16'),
    **_deit_iii('small_patch16', 384),
    **_deit_iii('medium_patch16', crop=None),
    **_deit_iii('base_patch16'),
    **_deit_iii('base_patch16', 384),
    **_deit_iii('large_patch16'),
    **_deit_iii('large_patch16', 384),
    **_deit_iii('huge_patch14', end='_v1'),
    'dwnet/dwnet_tiny': _page('dwnet_tiny.pth', 'Atten4Vis/DemystifyLocalViT', 'MIT'),
    'dwnet/dwnet_base': _page('dwnet_base.pth', 'Atten4Vis/DemystifyLocalViT', 'MIT'),
    'dwnet/dynamic_dwnet_tiny': _page('dynamic_dwnet_tiny.pth', 'Atten4Vis/DemystifyLocalViT', 'MIT'),
    'dwnet/dynamic_dwnet_base': _page('dynamic_dwnet_base.pth', 'Atten4Vis/DemystifyLocalViT', 'MIT'),
    'elsa/tiny': _page('elsa_swin_tiny.pth.tar', 'damo-cv/ELSA', 'MIT', Preprocess(crop=0.9)),
    'elsa/small': _page('elsa_swin_small.pth.tar', 'damo-cv/ELSA', 'MIT', Preprocess(crop=0.9)),
    'elsa/base': _page('elsa_swin_base.pth.tar', 'damo-cv/ELSA', 'MIT', Preprocess(crop=0.9)),
    'fcvit/tiny': _page('fcvit_tiny.pth.tar', 'ma-xu/FCViT', 'Apache-2.0', Preprocess(crop=0.9)),
    'fcvit/b12': _page('fcvit_b12.pth.tar', 'ma-xu/FCViT', 'Apache-2.0', Preprocess(crop=0.9)),
    'fcvit/b24': _page('fcvit_b24.pth.tar', 'ma-xu/FCViT', 'Apache-2.0', Preprocess(crop=0.95)),
    'fcvit/b48': _page('fcvit_b48.pth.tar', 'ma-xu/FCViT', 'Apache-2.0', Preprocess(crop=0.95)),
    'hrformer/hrformer_t': _page('hrt_tiny.pth', 'HRNet/HRFormer', 'MIT'),
    'hrformer/hrformer_s': _page('hrt_small.pth', 'HRNet/HRFormer', 'MIT'),
    'hrformer/hrformer_b': _page('hrt_base.pth', 'HRNet/HRFormer', 'MIT'),
    'localvit/localvit_t': _page('localvit_t.pth', 'ofsoundof/LocalViT', 'MIT'),
    'localvit/localvit_t_se4': _page('localvit_t_se4.pth', 'ofsoundof/LocalViT', 'MIT'),
    'localvit/localvit_s': _page('localvit_s.pth', 'ofsoundof/LocalViT', 'MIT'),
    'localvit/localvit_tnt': _page('localvit_tnt.pth', 'ofsoundof/LocalViT', 'MIT'),
    'localvit/localvit_pvt': _page('localvit_pvt.pth', 'ofsoundof/LocalViT', 'MIT'),
    'localvit/localvit_swin': _page('localvit_swin.pth', 'ofsoundof/LocalViT', 'MIT'),
    'lv_vit/lvvit_t': _lv_vit('lvvit_t.pth', crop=0.9),
    'lv_vit/lvvit_s': _lv_vit('lvvit_s-26M-224-83.3.pth.tar', crop=0.9),
    'lv_vit/lvvit_s_384': _lv_vit('lvvit_s-26M-384-84.4.pth.tar', 384, 0.9),
    'lv_vit/lvvit_m': _lv_vit('lvvit_m-56M-224-84.0.pth.tar'),
    'lv_vit/lvvit_m_384': _lv_vit('lvvit_m-56M-384-85.4.pth.tar', 384),
    'lv_vit/lvvit_m_448': _lv_vit('lvvit_m-56M-448-85.5.pth.tar', 448),
    'lv_vit/lvvit_l_448': _lv_vit('lvvit_l-150M-448-86.2.pth.tar', 448),
    'lv_vit/lvvit_l_512': _lv_vit('lvvit_l-150M-512-86.4.pth.tar', 512),
    **{f'lv_vit/upernet_lvvit_{size}':
       replace(_lv_vit(f'upernet_lvvit_{size}.pth'), data='ImageNet-1k, then ADE20K, 512', preprocess=None) for size in 'sml'},
    'p2t/tiny': _page('p2t_tiny.pth', 'yuhuan-wu/P2T', 'CC BY-NC-SA 4.0'),
    'p2t/small': _page('p2t_small.pth', 'yuhuan-wu/P2T', 'CC BY-NC-SA 4.0'),
    'p2t/base': _page('p2t_base.pth', 'yuhuan-wu/P2T', 'CC BY-NC-SA 4.0'),
    'p2t/large': _page('p2t_large.pth', 'yuhuan-wu/P2T', 'CC BY-NC-SA 4.0'),
    'mvit_v2/tiny': _mvit('T', 'in1k', 'tiny_3rdparty_in1k_20220722-db7beeef'),
    'mvit_v2/small': _mvit('S', 'in1k', 'small_3rdparty_in1k_20220722-986bd741'),
    'mvit_v2/base': _mvit('B', 'in1k', 'base_3rdparty_in1k_20220722-9c4f0a17'),
    'mvit_v2/base_in21k': _mvit('B', 'in21k'),
    'mvit_v2/large_in21k': _mvit('L', 'in21k'),
    'mvit_v2/huge_in21k': _mvit('H', 'in21k'),
    'ps_vit/ps_vit_b_14': _page('ps_vit_b_14.pth.tar', 'yuexy/PS-ViT', 'MIT', Preprocess(crop=0.9)),
    'ps_vit/ps_vit_b_18': _page('ps_vit_b_18.pth.tar', 'yuexy/PS-ViT', 'MIT', Preprocess(crop=0.9)),
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
    'rest/lite': _page('rest_lite.pth', 'wofmanaf/ResT', 'Apache-2.0'),
    'rest/small': _page('rest_small.pth', 'wofmanaf/ResT', 'Apache-2.0'),
    'rest/base': _page('rest_base.pth', 'wofmanaf/ResT', 'Apache-2.0'),
    'rest/large': _page('rest_large.pth', 'wofmanaf/ResT', 'Apache-2.0'),
    'rest_v2/tiny': _page('restv2_tiny_224.pth', 'wofmanaf/ResT', 'Apache-2.0', Preprocess(crop=1.)),
    'rest_v2/tiny_384': _page('restv2_tiny_384.pth', 'wofmanaf/ResT', 'Apache-2.0', Preprocess(384, None)),
    'rest_v2/small': _page('restv2_small_224.pth', 'wofmanaf/ResT', 'Apache-2.0', Preprocess(crop=1.)),
    'rest_v2/small_384': _page('restv2_small_384.pth', 'wofmanaf/ResT', 'Apache-2.0', Preprocess(384, None)),
    'rest_v2/base': _page('restv2_base_224.pth', 'wofmanaf/ResT', 'Apache-2.0', Preprocess(crop=1.)),
    'rest_v2/base_384': _page('restv2_base_384.pth', 'wofmanaf/ResT', 'Apache-2.0', Preprocess(384, None)),
    'rest_v2/large': _page('restv2_large_224.pth', 'wofmanaf/ResT', 'Apache-2.0', Preprocess(crop=1.)),
    'rest_v2/large_384': _page('restv2_large_384.pth', 'wofmanaf/ResT', 'Apache-2.0', Preprocess(384, None)),
    'sg_former/s': _page('SG-Former-S.pth', 'OliverRensu/SG-Former', 'none', Preprocess(crop=0.9)),
    'sg_former/m': _page('SG-Former-M.pth', 'OliverRensu/SG-Former', 'none', Preprocess(crop=0.9)),
    'sg_former/b': _page('SG-Former-B.pth', 'OliverRensu/SG-Former', 'none', Preprocess(crop=0.9)),
    'shuffle_transformer/tiny': _page('shuffle_transformer_tiny.pth', 'mulinmeng/Shuffle-Transformer', 'MIT'),
    'shuffle_transformer/small': _page('shuffle_transformer_small.pth', 'mulinmeng/Shuffle-Transformer', 'MIT'),
    'shuffle_transformer/base': _page('shuffle_transformer_base.pth', 'mulinmeng/Shuffle-Transformer', 'MIT'),
    'swin/tiny': _swin('swin_tiny_patch4_window7_224.pth', 'ImageNet-1k, 224', '160bb0a5'),
    'swin/tiny_22k': Weights('swin_tiny_patch4_window7_224_22k.pth', None, _SWIN, 'MIT', 'ImageNet-22k, 224'),
    'swin/tiny_moby':
        Weights('moby_swin_t_300ep_pretrained.pth', None, _MOBY, 'MIT', 'ImageNet-1k, no labels, 224', preprocess=None),
    'swin/small': _swin('swin_small_patch4_window7_224.pth', 'ImageNet-1k, 224', 'cc7a01c9'),
    'swin/small_22k': Weights('swin_small_patch4_window7_224_22k.pth', None, _SWIN, 'MIT', 'ImageNet-22k, 224'),
    'swin/base': _swin('swin_base_patch4_window7_224.pth', 'ImageNet-1k, 224', '4670dd19'),
    'swin/base_22k': Weights('swin_base_patch4_window7_224_22k.pth', None, _SWIN, 'MIT', 'ImageNet-22k, 224'),
    'swin/base_22kto1k': _swin('swin_base_patch4_window7_224_22kto1k.pth', 'ImageNet-22k, then 1k, 224', 'f967f799'),
    'swin/base_window12_384':
        _swin('swin_base_patch4_window12_384.pth', 'ImageNet-1k, 384', '02c598a4', _STRETCHED),
    'swin/base_window12_384_22k': _swin('swin_base_patch4_window12_384_22k.pth', 'ImageNet-22k, 384', preprocess=None),
    'swin/base_window12_384_22kto1k':
        _swin('swin_base_patch4_window12_384_22kto1k.pth', 'ImageNet-22k, then 1k, 384', 'd59b0d1d', _STRETCHED),
    'swin/large': _swin('swin_large_patch4_window7_224_22kto1k.pth', 'ImageNet-22k, then 1k, 224', '5f0996db'),
    'swin/large_22k': Weights('swin_large_patch4_window7_224_22k.pth', None, _SWIN, 'MIT', 'ImageNet-22k, 224'),
    'swin/large_window12_384':
        _swin('swin_large_patch4_window12_384_22kto1k.pth', 'ImageNet-22k, then 1k, 384', '0a40944b', _STRETCHED),
    'swin/large_window12_384_22k': _swin('swin_large_patch4_window12_384_22k.pth', 'ImageNet-22k, 384', preprocess=None),
    'swin_v2/tiny_window8_256':
        _swin_v2('swinv2_tiny_patch4_window8_256.pth', 'ImageNet-1k, 256',
            'swinv2-tiny-w8_3rdparty_in1k-256px_20220803-e318968f.pth'),
    'swin_v2/tiny_window16_256':
        _swin_v2('swinv2_tiny_patch4_window16_256.pth', 'ImageNet-1k, 256',
            'swinv2-tiny-w16_3rdparty_in1k-256px_20220803-9651cdd7.pth'),
    'swin_v2/small_window8_256':
        _swin_v2('swinv2_small_patch4_window8_256.pth', 'ImageNet-1k, 256',
            'swinv2-small-w8_3rdparty_in1k-256px_20220803-b01a4332.pth'),
    'swin_v2/small_window16_256':
        _swin_v2('swinv2_small_patch4_window16_256.pth', 'ImageNet-1k, 256',
            'swinv2-small-w16_3rdparty_in1k-256px_20220803-b707d206.pth'),
    'swin_v2/base_window8_256':
        _swin_v2('swinv2_base_patch4_window8_256.pth', 'ImageNet-1k, 256',
            'swinv2-base-w8_3rdparty_in1k-256px_20220803-8ff28f2b.pth'),
    'swin_v2/base_window16_256':
        _swin_v2('swinv2_base_patch4_window16_256.pth', 'ImageNet-1k, 256',
            'swinv2-base-w16_3rdparty_in1k-256px_20220803-5a1886b7.pth'),
    'swin_v2/base_window12_192_22k':
        _swin_v2('swinv2_base_patch4_window12_192_22k.pth', 'ImageNet-22k, 192',
            'pretrain/swinv2-base-w12_3rdparty_in21k-192px_20220803-f7dc9763.pth'),
    'swin_v2/base_window12to16_192to256_22kto1k':
        _swin_v2('swinv2_base_patch4_window12to16_192to256_22kto1k_ft.pth', 'ImageNet-22k, then 1k, 256',
            'swinv2-base-w16_in21k-pre_3rdparty_in1k-256px_20220803-8d7aa8ad.pth'),
    'swin_v2/base_window12to24_192to384_22kto1k':
        _swin_v2('swinv2_base_patch4_window12to24_192to384_22kto1k_ft.pth', 'ImageNet-22k, then 1k, 384',
            'swinv2-base-w24_in21k-pre_3rdparty_in1k-384px_20220803-44eb70f8.pth'),
    'swin_v2/large_window12_192_22k':
        _swin_v2('swinv2_large_patch4_window12_192_22k.pth', 'ImageNet-22k, 192',
            'pretrain/swinv2-large-w12_3rdparty_in21k-192px_20220803-d9073fee.pth'),
    'swin_v2/large_window12to16_192to256_22kto1k':
        _swin_v2('swinv2_large_patch4_window12to16_192to256_22kto1k_ft.pth', 'ImageNet-22k, then 1k, 256',
            'swinv2-large-w16_in21k-pre_3rdparty_in1k-256px_20220803-c40cbed7.pth'),
    'swin_v2/large_window12to24_192to384_22kto1k':
        _swin_v2('swinv2_large_patch4_window12to24_192to384_22kto1k_ft.pth', 'ImageNet-22k, then 1k, 384',
            'swinv2-large-w24_in21k-pre_3rdparty_in1k-384px_20220803-3b36c165.pth'),
    't2t_vit/t2t_vit_7': _page('t2t_vit_7.pth.tar', 'yitu-opensource/T2T-ViT', 'Clear BSD', Preprocess(crop=0.9)),
    't2t_vit/t2t_vit_10': _page('t2t_vit_10.pth.tar', 'yitu-opensource/T2T-ViT', 'Clear BSD', Preprocess(crop=0.9)),
    't2t_vit/t2t_vit_12': _page('t2t_vit_12.pth.tar', 'yitu-opensource/T2T-ViT', 'Clear BSD', Preprocess(crop=0.9)),
    't2t_vit/t2t_vit_14': _page('t2t_vit_14.pth.tar', 'yitu-opensource/T2T-ViT', 'Clear BSD', Preprocess(crop=0.9)),
    't2t_vit/t2t_vit_14_384':
        _page('t2t_vit_14_384.pth.tar', 'yitu-opensource/T2T-ViT', 'Clear BSD', Preprocess(384, 0.9)),
    't2t_vit/t2t_vit_19': _page('t2t_vit_19.pth.tar', 'yitu-opensource/T2T-ViT', 'Clear BSD', Preprocess(crop=0.9)),
    't2t_vit/t2t_vit_24': _page('t2t_vit_24.pth.tar', 'yitu-opensource/T2T-ViT', 'Clear BSD', Preprocess(crop=0.9)),
    't2t_vit/t2t_vit_t_14': _page('t2t_vit_t_14.pth.tar', 'yitu-opensource/T2T-ViT', 'Clear BSD', Preprocess(crop=0.9)),
    't2t_vit/t2t_vit_t_14_openmmlab': _t2t_openmmlab('t2t-vit-t-14_8xb64_in1k_20211220-f7378dd5.pth'),
    't2t_vit/t2t_vit_t_19': _page('t2t_vit_t_19.pth.tar', 'yitu-opensource/T2T-ViT', 'Clear BSD', Preprocess(crop=0.9)),
    't2t_vit/t2t_vit_t_19_openmmlab': _t2t_openmmlab('t2t-vit-t-19_8xb64_in1k_20211214-7f5e3aaf.pth'),
    't2t_vit/t2t_vit_t_24': _page('t2t_vit_t_24.pth.tar', 'yitu-opensource/T2T-ViT', 'Clear BSD', Preprocess(crop=0.9)),
    't2t_vit/t2t_vit_t_24_openmmlab': _t2t_openmmlab('t2t-vit-t-24_8xb64_in1k_20211214-b2a68ae3.pth'),
    'tnt/tnt_s': _tnt('tnt_s_81.5.pth.tar', 'huawei-noah/Efficient-AI-Backbones', 'tnt'),
    'tnt/tnt_s_legacy':
        _tnt('tnt_s_patch16_224.pth.tar', 'contrastive/pytorch-image-models', 'TNT',
            f'{_OPENMMLAB}/tnt/tnt-small-p16_3rdparty_in1k_20210903-c56ee7df.pth'),
    'tnt/tnt_b': _tnt('tnt_b_82.9.pth.tar', 'huawei-noah/Efficient-AI-Backbones', 'tnt'),
    'twins_pcpvt/small':
        _twins('pcpvt_small.pth', f'{_TIMM}/twins_pcpvt_small-e70e7e7a.pth',
            f'{_OPENMMLAB}/twins/twins-pcpvt-small_3rdparty_8xb128_in1k_20220126-ef23c132.pth'),
    'twins_pcpvt/base':
        _twins('pcpvt_base.pth', f'{_OPENMMLAB}/twins/twins-pcpvt-base_3rdparty_8xb128_in1k_20220126-f8c4b0d5.pth'),
    'twins_pcpvt/large':
        _twins('pcpvt_large.pth', f'{_OPENMMLAB}/twins/twins-pcpvt-large_3rdparty_16xb64_in1k_20220126-c1ef8d80.pth'),
    'twins_svt/small':
        _twins('alt_gvt_small.pth', f'{_OPENMMLAB}/twins/twins-svt-small_3rdparty_8xb128_in1k_20220126-8fe5205b.pth'),
    'twins_svt/base':
        _twins('alt_gvt_base.pth', f'{_OPENMMLAB}/twins/twins-svt-base_3rdparty_8xb128_in1k_20220126-e31cc8e9.pth'),
    'twins_svt/large':
        _twins('alt_gvt_large.pth', f'{_OPENMMLAB}/twins/twins-svt-large_3rdparty_16xb64_in1k_20220126-4817645f.pth'),
    'vitae/vitae_t': _vitae('ViTAE-T.pth.tar'),
    'vitae/vitae_6m': _vitae('ViTAE-6M.pth.tar'),
    'vitae/vitae_s': _vitae('ViTAE-S.pth.tar'),
    'vitae/vitae_b': _vitae('ViTAE-B.pth.tar'),
    'vitae/vitae_l': _vitae('ViTAE-L.pth.tar'),
    'vitae/vitae_h': _vitae('ViTAE-H.pth.tar'),
    'vit/vit_tiny_patch16_224': _augreg(_AUGREG['tiny'], 'lr_0.03-res_224'),
    'vit/vit_tiny_patch16_224_22k': _augreg(_AUGREG['tiny']),
    'vit/vit_tiny_patch16_384': _augreg(_AUGREG['tiny'], 'lr_0.03-res_384'),
    'vit/vit_small_patch16_224': _augreg(_AUGREG['small'], 'lr_0.03-res_224'),
    'vit/vit_small_patch16_224_1k': _augreg(_AUGREG['small_1k'], 'lr_0.01-res_224'),
    'vit/vit_small_patch16_224_22k': _augreg(_AUGREG['small']),
    'vit/vit_small_patch16_224_dino':
        _unlabelled('dino', 'dino/dino_deitsmall16_pretrain', 'dino_deitsmall16_pretrain.pth', 'Apache-2.0'),
    'vit/vit_small_patch16_384': _augreg(_AUGREG['small'], 'lr_0.03-res_384'),
    'vit/vit_small_patch16_384_1k': _augreg(_AUGREG['small_1k'], 'lr_0.01-res_384'),
    'vit/vit_base_patch16_224': _augreg(_AUGREG['base'], 'lr_0.01-res_224'),
    'vit/vit_base_patch16_224_1k': _augreg(_AUGREG['base_1k'], 'lr_0.01-res_224'),
    'vit/vit_base_patch16_224_22k': _augreg(_AUGREG['base']),
    'vit/vit_base_patch16_224_dino':
        _unlabelled('dino', 'dino/dino_vitbase16_pretrain', 'dino_vitbase16_pretrain.pth', 'Apache-2.0'),
    'vit/vit_base_patch16_224_mae': _unlabelled('mae', 'mae/pretrain', 'mae_pretrain_vit_base.pth', 'CC BY-NC 4.0'),
    'vit/vit_base_patch16_224_openmmlab': Weights(
        'vit-base-p16_pt-32xb128-mae_in1k_20220623-4c544545.pth', None, 'https://github.com/open-mmlab/mmpretrain',
        'Apache-2.0', 'ImageNet-1k, 224', (f'{_OPENMMLAB}/vit/vit-base-p16_pt-32xb128-mae_in1k_20220623-4c544545.pth', )),
    'vit/vit_base_patch16_224_orig': _vit_orig('jx_vit_base_p16_224-80ecf9dd.pth', 224, 0.9),
    'vit/vit_base_patch16_384': _augreg(_AUGREG['base'], 'lr_0.01-res_384'),
    'vit/vit_base_patch16_384_1k': _augreg(_AUGREG['base_1k'], 'lr_0.01-res_384'),
    'vit/vit_base_patch16_384_orig': _vit_orig('jx_vit_base_p16_384-83fb41ba.pth', 384, 1.),
    'vit/vit_large_patch16_224': _augreg(_AUGREG['large'], 'lr_0.01-res_224'),
    'vit/vit_large_patch16_224_22k': _augreg(_AUGREG['large']),
    'vit/vit_large_patch16_224_mae': _unlabelled('mae', 'mae/pretrain', 'mae_pretrain_vit_large.pth', 'CC BY-NC 4.0'),
    'vit/vit_large_patch16_384': _augreg(_AUGREG['large'], 'lr_0.01-res_384'),
    'vitae_v2/vitaev2_s': _vitae('ViTAEv2-S.pth.tar'),
    'vitae_v2/vitaev2_48m': _vitae('ViTAEv2-48M.pth.tar'),
    'vitae_v2/vitaev2_b': _vitae('ViTAEv2-B.pth.tar'),
}
"""{name after ``mmvit://``: file}. A variant's own name gives its ImageNet-1k weights (fine-tuned, where the authors
pre-trained it on ImageNet-22k); the suffix ``_22k`` the weights before fine-tuning, ``_22kto1k`` those after it where
the authors trained on ImageNet-1k alone too, ``_1k`` those of ImageNet-1k alone where the variant's own name gives others,
``_384`` those after fine-tuning at 384 pixels where the variant stays the same, ``_dino``, ``_mae`` and ``_moby`` weights
trained without labels, ``_orig`` those of ViT's paper, which timm has converted, ``_openmmlab`` weights that OpenMMLab has
trained itself."""
UNPUBLISHED: Dict[str, Optional[Preprocess]] = {
    'deepvit/deepvit_L_384': _halves(384, 1.),
    'deepvit/deepvit_patch16_224_re_attn_16b': _halves(224, 0.9),
    'ps_vit/ps_vit_ti_14': Preprocess(crop=0.9),
    'ps_vit/ps_vit_b_10': Preprocess(crop=0.9),
    'ps_vit/ps_vit_b_16': Preprocess(crop=0.9),
    'swin/tiny_c24_window8_256': Preprocess(256),
    't2t_vit/t2t_vit_14_resnext': Preprocess(crop=0.9),
    't2t_vit/t2t_vit_14_wide': Preprocess(crop=0.9),
    'tnt/tnt_ti': None,
    **{f'vit_c/{variant}': Preprocess(interpolation='bilinear')
       for variant in ('vit_c_1gf', 'vit_c_4gf', 'vit_c_18gf', 'vit_c_36gf', 'vit_c_72gf_in21k')},
    'vitae/vitae_13m': Preprocess(crop=0.9),
}
"""The same of variants whose weights nobody has published, where it differs from ``Preprocess()``; None where it is not
known."""


def weights_folder() -> Path:
    """``$MMVIT_WEIGHTS``, or where it isn't set, the folder ``weights`` in the current one."""
    return Path(os.path.expanduser(os.environ.get('MMVIT_WEIGHTS') or 'weights'))


def preprocessing(name: str) -> Preprocess:
    """How the authors of a backbone bring images to its classifier.

    Args:
        name: <family>/<variant>.

    Returns:
        ``Preprocess()``, with a warning, where that is not known.
    """
    found = ZOO[name].preprocess if name in ZOO else UNPUBLISHED.get(name, Preprocess())
    if found is None:
        found = Preprocess()
        print_log(f'How the authors of {name} evaluate it is not known: images are treated as {found}', logger='current',
                  level=logging.WARNING)
    return found


def locate(source: str, fetch: bool = True) -> Path:
    """The local file of a checkpoint, fetched first where that is needed.

    Args:
        source: Path, ``http(s)://`` URL, or ``mmvit://<name of ZOO>``. Fetched files are kept in `weights_folder`,
            those of the zoo under their own names, those of URLs under names that begin with a digest of the URL.
            A file that is already there is used.
        fetch: False only tells where the file is, or will be once it is fetched.

    In a distributed job all ranks call it together with ``fetch``: one of them fetches, and where it fails, all fail.

    Raises:
        CheckpointError: It can't be had, or what is there is damaged; the message says where to get it and where to put it.
    """
    scheme, separator, rest = source.partition('://')
    if not separator:
        return Path(os.path.expanduser(source))
    if scheme.lower() == 'mmvit':
        weights = _find(rest)
    elif scheme.lower() in ('http', 'https'):
        weights = Weights(_file_of(source), source, None, '', '')
    else:
        raise CheckpointError(f'{one_line(source)}: expected a path, an http(s):// URL or {SCHEME}<family>/<variant>')
    if not fetch:
        _check_present(source, weights)
        return _path(weights)
    # The first rank of all, then the first on each machine, which may have a disk of its own, then the others.
    mine = 0 if is_main_process() else 1 if os.environ.get('LOCAL_RANK', '0') == '0' else 2
    for turn in range(3):
        problem = None
        if turn == mine:
            try:
                _provide(source, weights)
            except CheckpointError as error:
                problem = str(error)
        problem = next(filter(None, all_gather_object(problem)), None)
        if problem:
            raise CheckpointError(problem)
    return _path(weights)


def _find(name: str) -> Weights:
    from .. import list_backbones
    if name in ZOO:
        return ZOO[name]
    if name in list_backbones():
        raise CheckpointError(f'{SCHEME}{name} is not known: no weights of {name} are published')
    near = get_close_matches(unquote(name[:200]).lower(), ZOO, cutoff=.5)
    near = f'Near are {", ".join(near)}' if near else f'A known name is {next(iter(ZOO))}'
    raise CheckpointError(f'{SCHEME}{one_line(name)} is not known. {near}; README.md and mmvit_backbones.checkpoints.ZOO '
                          'have all')


def _file_of(url: str) -> str:
    """A name for what is fetched from a URL: another one for each URL, and none that leads out of the folder."""
    url = url.split('#')[0]
    name = unquote(url.split('?')[0].split('://', 1)[1]).partition('/')[2].rpartition('/')[2]
    name = re.sub(r'[^\w.-]+', '_', name, flags=re.ASCII)[-100:]
    return '-'.join(filter(None, [hashlib.sha256(url.encode(errors='surrogatepass')).hexdigest()[:12], name]))


def _path(weights: Weights) -> Path:
    """The file that is there, or else the first that can be fetched."""
    paths = [weights_folder() / file for file in dict.fromkeys([weights.file, *weights.sources])]
    return next((path for path in paths if os.path.isfile(path)), weights_folder() / next(iter(weights.sources), weights.file))


def _check_present(source: str, weights: Weights) -> None:
    """Makes sure that what is there is sound, and where nothing is, that it can be fetched."""
    path = _path(weights)
    url = weights.sources.get(path.name)
    if os.path.isfile(path):
        try:
            check(path, _digits(url, weights))
        except CheckpointError as error:
            again = f'Once it is removed, {url} is fetched again' if url else _advice(weights)
            raise CheckpointError(f'{error} {again}.') from error
    elif os.path.lexists(path):
        raise CheckpointError(f'{path} is no file that can be read, but the weights belong there. Remove it, or set '
                              'MMVIT_WEIGHTS to another folder.')
    elif url is None:
        why = 'its page has no address for programs' if weights.page else 'the authors have not published it'
        raise CheckpointError(f'{source} is not here, and {why}. {_advice(weights)}.')


def _provide(source: str, weights: Weights) -> None:
    """Fetches what is not there, from the first address that has it."""
    _check_present(source, weights)
    if os.path.isfile(_path(weights)):
        return
    problems = []
    for file, url in weights.sources.items():
        try:
            download(url, weights_folder() / file, _digits(url, weights))
        except CheckpointError as error:
            problems.append(str(error).rstrip('.'))
        else:
            if problems:
                print_log(f'{". ".join(problems)}. Fetched instead: {url}', logger='current', level=logging.WARNING)
            return
    raise CheckpointError(f'{". ".join(problems)}. {_advice(weights)}.')


def _digits(url: Optional[str], weights: Weights) -> str:
    """The digits of its SHA-256 that a file's name ends in."""
    return re.search(r'-([0-9a-f]{8})\.pth$', url)[1] if url in weights.others else ''


def _advice(weights: Weights) -> str:
    get = (f'Get the weights from {weights.page}' if weights.page else 'If it can not be had there, get it elsewhere'
           if weights.url else f'If you have trained such weights, call them {weights.file}')
    return f'{get} and put the file at {(weights_folder() / weights.file).absolute()} (or set MMVIT_WEIGHTS to its folder)'
