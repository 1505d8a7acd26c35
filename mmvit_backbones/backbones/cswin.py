"""CSWin Transformer (Dong et al., CVPR 2022, arXiv 2107.00652).

New in it: cross-shaped windows (half of the heads attend in vertical stripes, half in horizontal ones) and a locally
enhanced positional encoding, a depth-wise convolution of the values (LePE).

Facts from microsoft/CSWin-Transformer@f111ae2 (MIT), its segmentation backbone; nothing differs in the mathematics.
"""
from typing import Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from ..layers import ConvEmbed, Mlp, PreNormBlock, attention, merge_windows, pad_to_multiple
from ..registry import MODELS
from .base import Backbone, Stage


class StripeAttention(nn.Module):
    """Softmax attention in stripes plus LePE (sections 3.1 and 3.2); the projections are outside.

    Stripes are padded in the centre with zero queries, keys and values. The padded keys take part in the softmax and
    the padded values in LePE, which sees each stripe by itself: published weights were trained so.

    Args:
        dim: Channels.
        num_heads: Heads.
        stripe: Height and width of a stripe in tokens; 0 stands for the map's whole side.
    """

    def __init__(self, dim: int, num_heads: int, stripe: Tuple[int, int]) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.stripe = stripe
        self.lepe = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)

    def forward(self, qkv: Tensor) -> Tensor:
        """(B, H, W, 3, C), queries, keys and values -> (B, H, W, C)"""
        B, H, W, _, C = qkv.shape
        h, w = self.stripe[0] or H, self.stripe[1] or W
        qkv, top, left = pad_to_multiple(qkv.flatten(3), (h, w), place='centre')
        rows, cols = qkv.shape[1:3]
        # (B, rows, h, cols, w, 3, heads, d) -> (3, stripes, heads, tokens, d)
        qkv = qkv.view(B, rows // h, h, cols // w, w, 3, self.num_heads, C // self.num_heads)
        qkv = qkv.permute(5, 0, 1, 3, 6, 2, 4, 7).reshape(3, -1, self.num_heads, h * w, C // self.num_heads)
        q, k, v = qkv.unbind()
        lepe = self.lepe(v.transpose(1, 2).reshape(-1, h, w, C).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        out = merge_windows(attention(q, k, v).view(-1, h, w, C) + lepe, (rows, cols))
        return out[:, top:top + H, left:left + W]


class CrossShapedAttention(nn.Module):
    """Half of the heads in vertical stripes, half in horizontal ones, then side by side (section 3.1).

    Args:
        dim: Channels.
        num_heads: Heads.
        stripe: Width of the stripes in tokens; None for attention over the whole map (last stage).
    """

    def __init__(self, dim: int, num_heads: int, stripe: Optional[int]) -> None:
        super().__init__()
        stripes = [(0, 0)] if stripe is None else [(0, stripe), (stripe, 0)]
        self.qkv = nn.Linear(dim, 3 * dim)
        self.branches = nn.ModuleList(
            StripeAttention(dim // len(stripes), num_heads // len(stripes), size) for size in stripes)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(x).unflatten(-1, (3, -1)).chunk(len(self.branches), dim=-1)
        return self.proj(torch.cat([branch(part) for branch, part in zip(self.branches, parts)], dim=-1))


@MODELS.register_module()
class CSWinTransformer(Backbone):
    """CSWin Transformer; arguments and contract in `Backbone`.

    Stripe widths change no parameter: any checkpoint fits any of them. For other image sizes keep those that the
    weights were trained with.
    """

    family = 'cswin'
    # Table 1 of the paper; heads as in the authors' code, which has 24 in the last stage of large (the paper: 48).
    archs = {
        name: dict(dims=tuple(dim * 2**i for i in range(4)), depths=depths, num_heads=heads, stripes=stripes, mlp_ratio=4)
        for name, dim, depths, heads, stripes in (
            ('tiny',       64, (1, 2, 21, 1), (2, 4, 8, 16),   (1, 2, 7, None)),
            ('small',      64, (2, 4, 32, 2), (2, 4, 8, 16),   (1, 2, 7, None)),
            ('base',       96, (2, 4, 32, 2), (4, 8, 16, 32),  (1, 2, 7, None)),
            ('base_384',   96, (2, 4, 32, 2), (4, 8, 16, 32),  (1, 2, 12, None)),
            ('large',     144, (2, 4, 32, 2), (6, 12, 24, 24), (1, 2, 7, None)),
            ('large_384', 144, (2, 4, 32, 2), (6, 12, 24, 24), (1, 2, 12, None)),
        )
    }  # yapf: disable

    def build_patch_embed(self) -> nn.Module:
        return ConvEmbed(self.in_channels, self.spec['dims'][0], 7, stride=4, padding=2)

    def build_stage(self, i: int, drop_path: Sequence[float]) -> nn.Module:
        dims = self.spec['dims']
        downsample = ConvEmbed(dims[i - 1], dims[i], 3, stride=2, padding=1) if i else None
        blocks = [
            PreNormBlock(
                dims[i], CrossShapedAttention(dims[i], self.spec['num_heads'][i], self.spec['stripes'][i]),
                Mlp(dims[i], self.spec['mlp_ratio'] * dims[i]), rate) for rate in drop_path
        ]
        return Stage(blocks, downsample, self.with_cp)

    rename = (
        (r'^stage1_conv_embed\.0\.', 'patch_embed.proj.'),
        (r'^stage1_conv_embed\.2\.', 'patch_embed.norm.'),
        (r'^merge(\d)\.conv\.', r'stages.\1.downsample.proj.'),
        (r'^merge(\d)\.norm\.', r'stages.\1.downsample.norm.'),
        (r'^stage(\d)\.', lambda match: f'stages.{int(match[1]) - 1}.blocks.'),
        (r'(\.blocks\.\d+)\.(qkv|proj)\.', r'\1.attn.\2.'),
        (r'\.attns\.(\d)\.get_v\.', r'.attn.branches.\1.lepe.'),
        (r'^norm(\d)\.', lambda match: f'norm{int(match[1]) - 1}.'),
        (r'^head\.', None),
    )
