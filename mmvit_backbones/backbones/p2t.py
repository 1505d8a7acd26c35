"""P2T, Pyramid Pooling Transformer (Wu et al., TPAMI 2023, arXiv 2106.12011).

New in it: keys and values are a pyramid of the map, pooled to four sizes that are shares of its own, with a depth-wise
convolution on each that the blocks of a stage have in common; and a depth-wise convolution in the MLP, between two
Hardswish.

Facts from yuhuan-wu/P2T@acd5e64 (by its README CC BY-NC-SA 4.0), its detection and segmentation backbones, which
compute the same, and its classifier, whose trunk they have; nothing differs in the mathematics. The former take
multiples of 32; the sizes of maps here are the classifier's. One deviation: where it would pool a side of one or two
tokens to none, and so fail, one is left. Left out: medium, of which nothing was published, and the models of the
paper's first version.
"""
from typing import Optional, Sequence

import torch
from torch import Tensor, nn

from ..layers import (ConvEmbed, ConvMlp, Pointwise, PreNormBlock, SpatialReductionAttention, conv_map, no_autocast,
                      widen)
from ..registry import MODELS
from .base import Backbone, Stage

BLOCK_EPS = 1e-6
"""Of the LayerNorms in blocks. Those of patch embeddings and pyramids have 1e-5."""


def pooled_side(side: int, ratio: int) -> int:
    """The side of a map, in tokens, divided by a ratio: halves are rounded to even numbers, and at least 1 is left."""
    return max(round(side / ratio), 1)


def averages(side: int, parts: int, like: Tensor) -> Tensor:
    """The matrix (parts, side) that averages a side as adaptive pooling does: equal shares, rounded outwards."""
    part, token = torch.arange(parts, device=like.device)[:, None], torch.arange(side, device=like.device)
    start, end = part * side // parts, ((part + 1) * side + parts - 1) // parts
    return ((start <= token) & (token < end)).to(widen(like).dtype) / (end - start)


class PyramidAttention(SpatialReductionAttention):
    """Every token of a map attends to the map's pyramid (section 3.2).

    Args:
        dim: Channels.
        num_heads: Heads.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__(dim, num_heads, ratio=1)
        self.norm = nn.LayerNorm(dim)

    def reduce(self, x: Tensor, rows: Sequence[Tensor], columns: Sequence[Tensor], convs: nn.ModuleList) -> Tensor:
        """(B, H, W, C), and what `PyramidStage` says about such maps -> (B, 1, tokens of the pyramid, C)"""
        with no_autocast(x):  # pooling adds up; it is separable, and reads the map once for all levels
            bands = torch.cat(rows).expand(len(x), -1, -1) @ widen(x).flatten(2)
            bands = bands.unflatten(-1, x.shape[2:]).split([len(row) for row in rows], 1)
            pools = [(column @ band).to(x.dtype) for column, band in zip(columns, bands)]
        pools = [pool + conv_map(conv, pool) for conv, pool in zip(convs, pools)]
        return self.norm(torch.cat([pool.flatten(1, 2) for pool in pools], 1).unsqueeze(1))


class PyramidStage(Stage):
    """Holds the convolutions of the pyramids of all its blocks, and lays out how they pool.

    Args:
        blocks, downsample, with_cp: As `Stage`.
        dim: Channels.
        ratios: Of the side of the map to that of each level of its pyramid.
    """

    def __init__(self, blocks: Sequence[nn.Module], downsample: Optional[nn.Module], with_cp: bool, dim: int,
                 ratios: Sequence[int]) -> None:
        super().__init__(blocks, downsample, with_cp)
        self.ratios = ratios
        self.d_convs = nn.ModuleList(nn.Conv2d(dim, dim, 3, padding=1, groups=dim) for _ in ratios)

    def context(self, x: Tensor) -> Sequence[tuple]:
        """How a level averages rows, and how columns, for each; and the convolutions."""
        sides = x.shape[1:3]
        rows, columns = [[averages(side, pooled_side(side, ratio), x) for ratio in self.ratios] for side in sides]
        return [(rows, columns, self.d_convs)]


@MODELS.register_module()
class P2T(Backbone):
    """P2T; arguments and contract in `Backbone`. The authors' levels are not normalised, so there are no norms."""

    family = 'p2t'
    # The authors' code and README.
    archs = {
        name: dict(dims=dims, depths=depths, num_heads=(1, 2, 5, 8), mlp_ratios=(8, 8, 4, 4),
                   pool_ratios=((12, 16, 20, 24), (6, 8, 10, 12), (3, 4, 5, 6), (1, 2, 3, 4)))
        for name, dims, depths in (
            ('tiny',  (48, 96, 240, 384),  (2, 2, 6, 3)),
            ('small', (64, 128, 320, 512), (2, 2, 9, 3)),
            ('base',  (64, 128, 320, 512), (3, 4, 18, 3)),
            ('large', (64, 128, 320, 640), (3, 8, 27, 3)),
        )
    }  # yapf: disable
    norms = pooled_norms = None
    new_keys = pooled_keys = ()

    def build_patch_embed(self) -> nn.Module:
        return ConvEmbed(self.in_channels, self.spec['dims'][0], 7, stride=4, padding=3)

    def build_stage(self, i: int, drop_path: Sequence[float]) -> nn.Module:
        spec, dim = self.spec, self.spec['dims'][i]
        downsample = ConvEmbed(spec['dims'][i - 1], dim, 3, stride=2, padding=1) if i else None
        blocks = []
        for rate in drop_path:
            mlp = ConvMlp(dim, dim * spec['mlp_ratios'][i], nn.Hardswish(), nn.Hardswish(), Pointwise)
            blocks.append(PreNormBlock(dim, PyramidAttention(dim, spec['num_heads'][i]), mlp, rate, BLOCK_EPS))
        return PyramidStage(blocks, downsample, self.with_cp, dim, spec['pool_ratios'][i])

    rename = (
        (r'^head\.', None),
        (r'^patch_embed1\.', 'patch_embed.'),
        (r'^patch_embed(\d)\.', lambda match: f'stages.{int(match[1]) - 1}.downsample.'),
        (r'^d_convs(\d)\.', lambda match: f'stages.{int(match[1]) - 1}.d_convs.'),
        (r'^block(\d)\.', lambda match: f'stages.{int(match[1]) - 1}.blocks.'),
        (r'\.attn\.(q|kv)\.0\.', r'.attn.\1.'),
        (r'\.mlp\.conv\.', '.mlp.dwconv.'),
    )
