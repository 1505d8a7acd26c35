"""ResT (Zhang and Yang, NeurIPS 2021, arXiv 2105.13677).

New in it: the heads of attention talk to each other before the softmax, and what comes out of it is normalised over the
whole map (EMSA); maps are reduced for keys and values by a depth-wise convolution; and the steps between stages give
positions by a gate, a depth-wise convolution of the map itself.

Facts from wofmanaf/ResT@b9245d3 (Apache-2.0), its detection backbone; nothing differs in the mathematics. It takes
images of which a quarter, rounded up, is a multiple of 8; here the sizes of all maps are what convolutions make of
them, which is the same function there. Its norms stand in line, after each stage whose level is asked for, and change
what the next stage reads; the classifier and its checkpoints have the last one alone.
"""
from typing import Optional, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import (Mlp, PreNormBlock, SpatialReductionAttention, conv_map, mix_heads, no_autocast, normed_conv,
                      widen)
from ..registry import MODELS
from .base import Backbone, Stage


class PixelAttention(nn.Module):
    """x times the sigmoid of a depth-wise 3x3 convolution of x, the positional encoding (section 3.3).

    Args:
        dim: Channels.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.pa_conv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        return x * conv_map(self.pa_conv, x).sigmoid()


class Stem(nn.Module):
    """Three 3x3 convolutions, to a quarter of the image's size; nothing but the gate follows the last.

    Args:
        in_dim: Channels of the image.
        dim: Channels of the output.
    """

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_dim, dim // 2, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(dim // 2)
        self.conv2 = nn.Conv2d(dim // 2, dim // 2, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(dim // 2)
        self.conv3 = nn.Conv2d(dim // 2, dim, 3, stride=2, padding=1, bias=False)
        self.pos = PixelAttention(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, in_dim) -> (B, H / 4, W / 4, dim)"""
        x = F.relu(normed_conv(self.conv1, self.norm1, x.permute(0, 3, 1, 2)))
        x = F.relu(normed_conv(self.conv2, self.norm2, x))
        return self.pos(self.conv3(x).permute(0, 2, 3, 1))


class GatedEmbed(nn.Module):
    """The step down between two stages: a 3x3 convolution, a batch norm, and the gate.

    Args:
        in_dim: Channels of the input.
        dim: Channels of the output.
    """

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_dim, dim, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(dim)
        self.pos = PixelAttention(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, in_dim) -> (B, H / 2, W / 2, dim)"""
        return self.pos(normed_conv(self.conv, self.norm, x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


class DepthwiseReductionAttention(SpatialReductionAttention):
    """Attention to a map that a depth-wise convolution with overlapping kernels has made smaller, with a LayerNorm.

    Args:
        dim: Channels.
        num_heads: Heads, neighbouring channels each.
        ratio: Stride of the convolution, whose kernel is one larger and whose border is half of it. 1 leaves the map
            as it is.
        eps: Of the LayerNorm.
    """

    def __init__(self, dim: int, num_heads: int, ratio: int, eps: float = 1e-5) -> None:
        super().__init__(dim, num_heads, ratio=1)
        self.ratio = ratio
        if ratio > 1:
            self.sr = nn.Conv2d(dim, dim, ratio + 1, ratio, ratio // 2, groups=dim)
            self.sr_norm = nn.LayerNorm(dim, eps=eps)

    def reduce(self, x: Tensor) -> Tensor:
        return self.sr_norm(conv_map(self.sr, x)) if self.ratio > 1 else x


class TalkingReductionAttention(DepthwiseReductionAttention):
    """EMSA (section 3.2): the logits of all heads are mixed, and the map that the softmax gives is normalised over all
    queries and keys of a head and an image, without parameters. A single head has neither.

    Args:
        dim, num_heads, ratio: As `DepthwiseReductionAttention`.
    """

    def __init__(self, dim: int, num_heads: int, ratio: int) -> None:
        super().__init__(dim, num_heads, ratio)
        if num_heads > 1:
            self.transform_conv = nn.Conv2d(num_heads, num_heads, 1)
            # The same for all keys, so that the softmax takes it away: a constant that published models have.
            self.transform_conv.bias.requires_grad_(False)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if self.num_heads == 1:
            return super().attend(q, k, v)
        # The variance of the map is near the eps of its norm and its mean is that of a softmax: halves would lose both.
        with no_autocast(q):
            parts = (widen(x).flatten(1, 2).unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in (q, k, v))
            return normed_attention(*parts, widen(self.transform_conv.weight).flatten(1)).view_as(q).to(q.dtype)


def normed_attention(q: Tensor, k: Tensor, v: Tensor, mix: Tensor, eps: float = 1e-5) -> Tensor:
    """InstanceNorm(softmax(mix(q k^T / sqrt(d)))) v, with the heads side by side in the result.

    Args:
        q: Queries, (B, heads, queries, d).
        k, v: Keys and values, (B, heads, keys, d).
        mix: The logits of each head as a sum of those of all, (heads, heads).
        eps: Added to the variance of a head's map.

    Returns:
        (B, queries, heads * d)
    """
    maps = mix_heads(mix * q.shape[-1]**-.5, q @ k.transpose(-2, -1)).softmax(-1)
    keys = maps.shape[-1]
    maps = maps - 1 / keys  # their mean, since rows add up to one
    # by row first: a sum of millions of squares would lose digits
    var = torch.linalg.vector_norm(maps, dim=-1, keepdim=True).square().mean(2, keepdim=True) / keys
    # now that rows add up to zero, so may values: what they have in common would only leave its rounding errors
    return (maps @ (v - v.mean(2, keepdim=True)) * (var + eps).rsqrt()).transpose(1, 2).flatten(2)


@MODELS.register_module()
class ResT(Backbone):
    """ResT; arguments and contract in `Backbone`.

    Each stage reads the normed output of the one before where ``out_indices`` names that one, and else what it has
    computed, as in the authors' code: levels change with the levels that are asked for.
    """

    family = 'rest'
    # Table 1 of the paper.
    archs = {
        name: dict(dims=tuple(dim * 2**i for i in range(4)), depths=depths, num_heads=(1, 2, 4, 8), mlp_ratio=4,
                   sr_ratios=(8, 4, 2, 1))
        for name, dim, depths in (
            ('lite',  64, (2, 2, 2, 2)),
            ('small', 64, (2, 2, 6, 2)),
            ('base',  96, (2, 2, 6, 2)),
            ('large', 96, (2, 2, 18, 2)),
        )
    }  # yapf: disable
    norms = pooled_norms = 'trunk'
    new_keys = (r'norm[012]\.', )

    def build_patch_embed(self) -> nn.Module:
        return Stem(self.in_channels, self.spec['dims'][0])

    def build_stage(self, i: int, drop_path: Sequence[float]) -> nn.Module:
        spec, dim = self.spec, self.spec['dims'][i]
        downsample = GatedEmbed(spec['dims'][i - 1], dim) if i else None
        blocks = [
            PreNormBlock(dim, TalkingReductionAttention(dim, spec['num_heads'][i], spec['sr_ratios'][i]),
                         Mlp(dim, dim * spec['mlp_ratio']), rate) for rate in drop_path
        ]
        return Stage(blocks, downsample, self.with_cp)

    def build_norm(self, i: int) -> Optional[nn.Module]:
        return super().build_norm(i) if i in self.out_indices else None

    def init_module(self, module: nn.Module) -> None:
        super().init_module(module)
        if isinstance(module, nn.Conv2d):
            nn.init.trunc_normal_(module.weight, std=.02)

    rename = (
        (r'^head\.', None),
        (r'^stem\.', 'patch_embed.'),
        (r'^patch_embed_(\d)\.', lambda match: f'stages.{int(match[1]) - 1}.downsample.'),
        (r'^stage(\d)\.', lambda match: f'stages.{int(match[1]) - 1}.blocks.'),
        (r'^norm(\d)\.', lambda match: f'norm{int(match[1]) - 1}.'),
        (r'^norm\.', 'norm3.'),
    )
