"""Other packages' own classes for the backbones here, with the same weights: what to compare outputs and time with."""
import inspect
import re
from itertools import accumulate
from typing import Callable, NamedTuple, Optional, Sequence, Tuple

import torch
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor, nn

from .. import list_backbones
from ..backbones.column import STRIDE, ColumnarBackbone
from ..checkpoints import CheckpointError, convert

MMDET = {
    'swin': lambda row: dict(
        type='SwinTransformer', embed_dims=row['dims'][0], depths=row['depths'], num_heads=row['num_heads'],
        window_size=row['window'], mlp_ratio=row['mlp_ratio']),
    'pvt': lambda row: dict(type='PyramidVisionTransformer', **_pvt(row)),
    'pvt_v2': lambda row: dict(type='PyramidVisionTransformerV2', **_pvt(row)),
}
"""{family: from a row of its ``archs`` to mmdet's config}"""
CLASSIFIERS = ('mvit_v2', )
"""Families of timm's whose weights fit, but which compute a classifier's maps; those of the dense models differ."""


class Peer(NamedTuple):
    """Another package's model.

    Attributes:
        name: Its name there.
        model: The module.
        levels: From images (B, 3, H, W) to the levels, as the module computes them.
        options: Of our backbone, with which it gives the same levels.
    """
    name: str
    model: nn.Module
    levels: Callable[[Tensor], Sequence[Tensor]]
    options: dict


def build_peer(package: str, name: str, size: Tuple[int, int] = (224, 224)) -> Optional[Peer]:
    """Another package's model of a backbone, with random weights and without stochastic depth.

    Args:
        package: 'timm' or 'mmdet', which must be installed.
        name: As in `list_backbones`.
        size: Height and width of the images in pixels, which timm's models of windows are built for.

    Returns:
        None where the package has none whose weights ours takes.
    """
    return _timm(name, size) if package == 'timm' else _mmdet(name)


def same_weights(ours: nn.Module, theirs: nn.Module) -> None:
    """Gives both models the same weights, in which no two values are equal.

    Raises:
        CheckpointError: Ours does not take theirs.
    """
    randomise(theirs)
    ours.load_state_dict(theirs.state_dict())


def randomise(model: nn.Module) -> nn.Module:
    """Weights and statistics in which no two values are equal, but for position tables that are computed."""
    generator = torch.Generator().manual_seed(0)
    for name, value in model.state_dict().items():
        if 'coords_table' in name:  # Swin V2's offsets, a constant
            continue
        if value.dtype.is_floating_point and ('pos_embed' not in name or value.dim() == 3):
            noise = torch.randn(value.shape, generator=generator)
            value.copy_(noise / value[0].numel()**.5 if value.dim() > 1 else 1 + .1 * noise)
    model.eval()  # which returns nothing in some of OpenMMLab's
    return model


def difference(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """The largest difference between levels, in standard deviations of theirs.

    Raises:
        ValueError: They are not as many, or not as large.
    """
    shapes = [[tuple(level.shape) for level in levels] for levels in (ours, theirs)]
    if shapes[0] != shapes[1]:
        raise ValueError(f'expected levels of {shapes[1]}, found {shapes[0]}')
    return max(((a - b).abs().max() / b.std()).item() for a, b in zip(ours, theirs))


def _timm(name: str, size: Tuple[int, int]) -> Optional[Peer]:
    """timm's model is the first whose name has the words of ours, in their order, and whose weights ours takes."""
    import timm
    family, variant = name.split('/')
    if family in CLASSIFIERS:
        return None
    cls, taps = _class(name), None
    words, options = variant.replace('_LS', '').split('_'), {}  # DeiT III is deit3 there
    if issubclass(cls, ColumnarBackbone):  # theirs have the bare taps, and a table of positions for the image
        row = cls.archs[variant]
        if size[0] != size[1] or 'grid' not in row:
            return None
        taps = [end - 1 for end in accumulate(row['depths'])]
        options = dict(arch=dict(row, grid=size[0] // STRIDE), pyramid='raw', out_norm=False)
    else:
        words[0] = family.replace('_', '') + words[0]
        if cls.norms == 'out':  # theirs are the bare outputs of the stages
            options = dict(out_norm=False)
    pattern = re.compile('.*'.join(words).lower())
    for candidate in timm.list_models():
        if not pattern.match(candidate.replace('_', '')):
            continue
        with torch.device('meta'):
            empty = timm.create_model(candidate)
        if _takes(name, options, empty):
            arguments = inspect.signature(type(empty)).parameters
            wanted = dict(img_size=tuple(size), drop_path_rate=0.)
            model = timm.create_model(candidate, **{key: value for key, value in wanted.items() if key in arguments})
            return Peer(candidate, model, lambda images: model.forward_intermediates(images, taps, intermediates_only=True), options)
    return None


def _mmdet(name: str) -> Optional[Peer]:
    import mmdet.models  # noqa: F401: registers its classes
    family, variant = name.split('/')
    if family not in MMDET:
        return None
    cfg = dict(MMDET[family](_class(name).archs[variant]), drop_path_rate=0.)
    with DefaultScope.overwrite_default_scope('mmdet'), torch.device('cpu'):  # on the meta device theirs fail
        model = MODELS.build(dict(cfg))
    return Peer(f'mmdet.{cfg["type"]}', model, model, {}) if _takes(name, {}, model) else None


def _pvt(row: dict) -> dict:
    heads = row['num_heads']
    return dict(
        embed_dims=row['dims'][0] // heads[0], num_layers=row['depths'], num_heads=heads, mlp_ratios=row['mlp_ratios'],
        sr_ratios=row['sr_ratios'])


def _class(name: str) -> type:
    return MODELS.get(list_backbones()[name]['type'])


def _takes(name: str, options: dict, theirs: nn.Module) -> bool:
    """Whether another model's weights fill ours."""
    with torch.device('meta'):
        ours = MODELS.build(dict(list_backbones()[name], **options))
    try:
        return not convert(ours, theirs.state_dict())[1].new
    except CheckpointError:
        return False
