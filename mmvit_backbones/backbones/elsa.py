"""ELSA-Swin (Zhou et al., "ELSA: Enhanced Local Self-Attention for Vision Transformer", arXiv 2112.12786).

New in it: local attention that takes the place of windows in the first three stages of Swin. The weights of a
neighbourhood come from a convolution of the Hadamard product of queries and keys, and a ghost head, a static kernel for
each channel, is added to those of its head.

Facts from damo-cv/ELSA@f3b7ac7 (MIT): its detection and segmentation backbones, which are the same, and its classifier.
The former shift in the last stage where a single window covers the map; the latter does not. Left out: ghost heads
that multiply, and other scales of the product than 1, which no published model has. The authors' CUDA operator is not
needed: its sum falls into a depth-wise convolution and one whose kernels vary.
"""
from typing import Sequence

import torch
from torch import Tensor, nn

from ..layers import (Mlp, PatchEmbed, PatchMerging, PreNormBlock, RelativePositionBias, ShiftedWindowAttention,
                      conv_map, depthwise_conv, varying_conv)
from ..registry import MODELS
from .base import Backbone, Stage
from .swin import SwinStage

SIDE = 7
"""Of neighbourhoods, and of the windows of the last stage, in tokens."""


class EnhancedLocalAttention(nn.Module):
    """Attention of every token to its neighbourhood (sections 3.2 and 3.3).

    Neighbours beyond the border take part in the softmax, and are zeros.

    Args:
        dim: Channels.
        num_heads: Heads.
        group_width: Channels of a group of the convolution that makes weights of the product. That has two thirds of
            ``dim`` channels, rounded up to a multiple of it.
    """

    def __init__(self, dim: int, num_heads: int, group_width: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        dim_qk = -(-(dim // 3 * 2) // group_width) * group_width
        self.splits = dim_qk, dim_qk, dim
        self.pre_proj = nn.Conv2d(dim, sum(self.splits), 1)
        self.attn = nn.Sequential(
            nn.Conv2d(dim_qk, dim_qk, SIDE, padding=SIDE // 2, groups=dim_qk // group_width), nn.GELU(),
            nn.Conv2d(dim_qk, SIDE**2 * num_heads, 1))
        self.ghost_head = nn.Parameter(torch.empty(1, dim, SIDE, SIDE))
        nn.init.trunc_normal_(self.ghost_head, std=.02)
        self.post_proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        q, k, v = conv_map(self.pre_proj, x).split(self.splits, -1)
        weights = conv_map(self.attn, q * k).unflatten(-1, (self.num_heads, -1)).softmax(-1)  # (B, H, W, heads, 49)
        out = varying_conv(v.unflatten(-1, (self.num_heads, -1)), weights.movedim(-1, 0).unsqueeze(-1)).flatten(3)
        ghost = depthwise_conv(v.permute(0, 3, 1, 2), self.ghost_head.transpose(0, 1)).permute(0, 2, 3, 1)
        return self.post_proj(out + ghost)


class KeyOffsetBias(nn.Module):
    """A `RelativePositionBias` whose table goes by the offset of the key from the query, a row a head.

    Args:
        window, num_heads: As there.
    """

    def __init__(self, window: Sequence[int], num_heads: int) -> None:
        super().__init__()
        opposite = RelativePositionBias(window, 1)
        self.window = window
        self.rb = nn.Parameter(torch.empty(num_heads, len(opposite.relative_position_bias_table)))
        nn.init.trunc_normal_(self.rb, std=.02)
        self.register_buffer('index', opposite.index.t().contiguous(), persistent=False)

    def forward(self) -> Tensor:
        """The bias, (num_heads, h * w queries, h * w keys)."""
        return self.rb[:, self.index]


class ValueFirstAttention(ShiftedWindowAttention):
    """Its projection gives values, queries and keys, in this order."""

    def project(self, x: Tensor) -> Sequence[Tensor]:
        v, q, k = self.qkv(x).chunk(3, dim=-1)
        return q, k, v


@MODELS.register_module()
class ELSASwin(Backbone):
    """ELSA-Swin; arguments and contract in `Backbone`."""

    family = 'elsa'
    # The authors' configs.
    archs = {
        name: dict(dims=tuple(C * 2**i for i in range(4)), depths=depths, num_heads=heads, group_width=width, mlp_ratio=4)
        for name, C, depths, heads, width in (
            ('tiny',   96, (2, 2, 6, 2),  (3, 6, 12, 24), 4),
            ('small',  96, (2, 2, 18, 2), (3, 6, 12, 24), 8),
            ('base',  128, (2, 2, 18, 2), (4, 8, 16, 32), 8),
        )
    }  # yapf: disable

    def build_patch_embed(self) -> nn.Module:
        return PatchEmbed(self.in_channels, self.spec['dims'][0])

    def build_stage(self, i: int, drop_path: Sequence[float]) -> nn.Module:
        dims, dim, num_heads = self.spec['dims'], self.spec['dims'][i], self.spec['num_heads'][i]
        windows = i == len(dims) - 1
        downsample = PatchMerging(dims[i - 1], dim) if i else None
        blocks = []
        for rate in drop_path:
            if windows:
                attn = ValueFirstAttention(dim, num_heads, KeyOffsetBias((SIDE, SIDE), num_heads))
            else:
                attn = EnhancedLocalAttention(dim, num_heads, self.spec['group_width'])
            blocks.append(PreNormBlock(dim, attn, Mlp(dim, int(dim * self.spec['mlp_ratio'])), rate))
        if windows:
            return SwinStage(blocks, downsample, self.with_cp, SIDE, shift_always=self.out_type == 'featmap')
        return Stage(blocks, downsample, self.with_cp)

    rename = (
        (r'^layers\.(\d)\.downsample\.', lambda match: f'stages.{int(match[1]) + 1}.downsample.'),
        (r'^layers\.', 'stages.'),
        (r'^(stages\.3\..*\.attn)\.pre_proj\.', r'\1.qkv.'),
        (r'^(stages\.3\..*\.attn)\.post_proj\.', r'\1.proj.'),
        (r'\.attn\.rb$', '.attn.position.rb'),
        (r'\.(attn_mask|relative_id)$', None),
        (r'^head\.', None),
    )
