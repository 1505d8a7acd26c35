"""Swin Transformer V2 (Liu et al., CVPR 2022, arXiv 2111.09883).

New in it: norms at the end of the residual branches, attention by the cosine of queries and keys, and a bias for
positions that a small network makes of the logarithms of offsets, so that weights of one window serve larger ones.

Facts from microsoft/Swin-Transformer@f82860b (MIT), the classifier; no dense code was published. Ours are the norms of
the levels and what happens at other image sizes: maps are padded as Swin's dense code pads them, and windows are never
shrunk to a smaller map. Left out: the third norm of the huge and the giant model, whose weights are not published.
"""
import math
from typing import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import Mlp, PatchEmbed, PreNormBlock, ShiftedWindowAttention, merge_neighbours, relative_index, widen
from ..registry import MODELS
from .base import Backbone
from .swin import SwinStage, SwinTransformer


class ContinuousPositionBias(nn.Module):
    """What a small network makes of each offset between two tokens of a window (section 3.3), in (0, 16).

    Args:
        window: Side of the square window in tokens.
        pretrained_window: Side of the windows in which the weights were trained; its largest offset counts as 1.
        num_heads: Heads.
    """

    def __init__(self, window: int, pretrained_window: int, num_heads: int) -> None:
        super().__init__()
        self.window = (window, window)
        self.mlp = nn.Sequential(nn.Linear(2, 512), nn.ReLU(inplace=True), nn.Linear(512, num_heads, bias=False))
        offsets = torch.arange(1 - window, window) * 8 / (pretrained_window - 1)
        offsets = offsets.sign() * offsets.abs().log1p() / math.log(8)
        pairs = torch.stack(torch.meshgrid(offsets, offsets, indexing='ij'), dim=-1)
        self.register_buffer('offsets', pairs.flatten(0, 1), persistent=False)  # row and column of each offset
        self.register_buffer('index', relative_index(self.window), persistent=False)

    def forward(self) -> Tensor:
        """The bias, (num_heads, tokens queries, tokens keys)."""
        return 16 * self.mlp(self.offsets).sigmoid().t()[:, self.index]


class CosineAttention(ShiftedWindowAttention):
    """Attention in windows by the cosine of queries and keys, times a learned factor a head (section 3.2).

    Keys have no bias, and so those of padded tokens are zero.

    Args:
        dim: Channels.
        num_heads: Heads.
        window, pretrained_window: As in `ContinuousPositionBias`.
    """

    def __init__(self, dim: int, num_heads: int, window: int, pretrained_window: int) -> None:
        super().__init__(dim, num_heads, ContinuousPositionBias(window, pretrained_window, num_heads), qkv_bias=False)
        self.logit_scale = nn.Parameter(torch.full((num_heads, 1, 1), math.log(10)))
        self.q_bias = nn.Parameter(torch.zeros(dim))
        self.v_bias = nn.Parameter(torch.zeros(dim))

    def project(self, x: Tensor) -> Sequence[Tensor]:
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        q, k, v = F.linear(x, self.qkv.weight, bias).chunk(3, dim=-1)
        q, k = [widen(part.unflatten(-1, (self.num_heads, -1))) for part in (q, k)]  # (tokens, heads, d)
        # the attention divides by the root
        scale = self.logit_scale.clamp(max=math.log(100)).exp().flatten(1) * q.shape[-1]**.5
        q = q * (scale / q.norm(dim=-1, keepdim=True).clamp(min=1e-12))
        k = k / k.norm(dim=-1, keepdim=True).clamp(min=1e-12)
        return q.flatten(1).to(v.dtype), k.flatten(1).to(v.dtype), v


class PostNormBlock(PreNormBlock):
    """x + norm1(attn(x)), then x + norm2(mlp(x)) (section 3.2); arguments as `PreNormBlock`."""

    def forward(self, x: Tensor, *context) -> Tensor:
        x = x + self.drop_path(self.norm1(self.attn(x, *context)))
        return x + self.drop_path(self.norm2(self.mlp(x)))


class PostNormMerging(nn.Module):
    """2 x 2 neighbours side by side (odd sides zero-padded), Linear, LayerNorm.

    Args:
        in_dim: Channels of the input.
        dim: Channels of the output.
    """

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * in_dim, dim, bias=False)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.reduction(merge_neighbours(x)))


KEYS = (
    (r'\.relative_coords_table$', None),
    (r'\.attn\.cpb_mlp\.', '.attn.position.mlp.'),
)
"""What is new in the keys since Swin."""


@MODELS.register_module()
class SwinTransformerV2(Backbone):
    """Swin Transformer V2; arguments and contract in `Backbone`.

    Any weights fit any windows. For other windows than a variant's change ``window`` alone: ``pretrained_window`` stays
    what the weights were trained with. The paper's detectors and segmentors have windows of 16 and more, such as
    ``dict(SwinTransformerV2.archs['tiny_window8_256'], window=(16, 16, 16, 16))``.
    """

    family = 'swin_v2'
    # The authors' configs. The windows of the last stage are what the authors' code shrinks them to.
    archs = {
        name: dict(dims=tuple(C * 2**i for i in range(4)), depths=depths,
                   num_heads=tuple(C * 2**i // 32 for i in range(4)), window=window, pretrained_window=pretrained,
                   mlp_ratio=4)
        for name, C, depths, window, pretrained in (
            ('tiny_window8_256',                      96, (2, 2, 6, 2),  (8, 8, 8, 8),     (8, 8, 8, 8)),
            ('tiny_window16_256',                     96, (2, 2, 6, 2),  (16, 16, 16, 8),  (16, 16, 16, 8)),
            ('small_window8_256',                     96, (2, 2, 18, 2), (8, 8, 8, 8),     (8, 8, 8, 8)),
            ('small_window16_256',                    96, (2, 2, 18, 2), (16, 16, 16, 8),  (16, 16, 16, 8)),
            ('base_window8_256',                     128, (2, 2, 18, 2), (8, 8, 8, 8),     (8, 8, 8, 8)),
            ('base_window16_256',                    128, (2, 2, 18, 2), (16, 16, 16, 8),  (16, 16, 16, 8)),
            ('base_window12_192_22k',                128, (2, 2, 18, 2), (12, 12, 12, 6),  (12, 12, 12, 6)),
            ('base_window12to16_192to256_22kto1k',   128, (2, 2, 18, 2), (16, 16, 16, 8),  (12, 12, 12, 6)),
            ('base_window12to24_192to384_22kto1k',   128, (2, 2, 18, 2), (24, 24, 24, 12), (12, 12, 12, 6)),
            ('large_window12_192_22k',               192, (2, 2, 18, 2), (12, 12, 12, 6),  (12, 12, 12, 6)),
            ('large_window12to16_192to256_22kto1k',  192, (2, 2, 18, 2), (16, 16, 16, 8),  (12, 12, 12, 6)),
            ('large_window12to24_192to384_22kto1k',  192, (2, 2, 18, 2), (24, 24, 24, 12), (12, 12, 12, 6)),
        )
    }  # yapf: disable
    no_decay = ('position.mlp', 'logit_scale', 'q_bias', 'v_bias')

    def build_patch_embed(self) -> nn.Module:
        self._check(
            min(self.spec['pretrained_window']) > 1, 'pretrained_window of at least 2 in each stage',
            self.spec['pretrained_window'])
        return PatchEmbed(self.in_channels, self.spec['dims'][0])

    def build_stage(self, i: int, drop_path: Sequence[float]) -> nn.Module:
        dims, ratio = self.spec['dims'], self.spec['mlp_ratio']
        heads, window, pretrained = (self.spec[key][i] for key in ('num_heads', 'window', 'pretrained_window'))
        downsample = PostNormMerging(dims[i - 1], dims[i]) if i else None
        blocks = []
        for rate in drop_path:
            attn = CosineAttention(dims[i], heads, window, pretrained)
            blocks.append(PostNormBlock(dims[i], attn, Mlp(dims[i], int(dims[i] * ratio)), rate))
        return SwinStage(blocks, downsample, self.with_cp, window, shift_always=False)

    def init_module(self, module: nn.Module) -> None:
        super().init_module(module)
        if isinstance(module, PostNormBlock):  # the identity
            for norm in (module.norm1, module.norm2):
                nn.init.zeros_(norm.weight)
                nn.init.zeros_(norm.bias)

    rename = (*SwinTransformer.rename, *KEYS)
    other_layouts = {
        # but for the first rule: they have moved the steps down to where ours are
        "OpenMMLab's": (*SwinTransformer.other_layouts["OpenMMLab's"][1:], *KEYS),
        "timm's": (*SwinTransformer.other_layouts["timm's"], *KEYS),
    }
