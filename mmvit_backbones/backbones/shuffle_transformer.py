"""Shuffle Transformer (Huang et al., "Rethinking Spatial Shuffle for Vision Transformer", 2021, arXiv 2106.03650).

New in it: spatial shuffle. Every second block attends in windows of equidistant rows and columns, which span the whole
map, and a depth-wise convolution between attention and MLP connects neighbours. BatchNorm and ReLU6 throughout.

Facts from mulinmeng/Shuffle-Transformer@8ba81ea (MIT), classification code: nothing differs in the mathematics where
that runs. It needs maps that 7 divides, and no dense code was published. For other sizes the rule is ours: windows hold
the tokens that exist, and the step between stages zero-pads odd sides after its norm.
"""
from collections import OrderedDict
from typing import List, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import (DepthwiseConv, DropPath, Groups, Pointwise, RelativePositionBias, conv_map, crop_bias,
                      group_attention, group_tokens, normed_conv, pad_to_multiple, reorder)
from ..registry import MODELS
from .base import Backbone, Stage

WINDOW = (7, 7)


class ShuffleEmbed(nn.Module):
    """The stem: two 3x3 convolutions of stride 2, each with BatchNorm and ReLU6, and a bare 1x1 convolution."""

    def __init__(self, in_dim: int, hidden_dim: int, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_dim, hidden_dim, 3, 2, 1)
        self.norm1 = nn.BatchNorm2d(hidden_dim)
        self.conv2 = nn.Conv2d(hidden_dim, dim, 3, 2, 1)
        self.norm2 = nn.BatchNorm2d(dim)
        self.conv3 = Pointwise(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 3, 1, 2)
        x = F.relu6(normed_conv(self.conv1, self.norm1, x), inplace=True)
        x = F.relu6(normed_conv(self.conv2, self.norm2, x), inplace=True)
        return self.conv3(x.permute(0, 2, 3, 1))


class PatchMerging(nn.Module):
    """The step between stages: BatchNorm and a 2x2 convolution of stride 2; odd sides are zero-padded in between."""

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_dim)
        self.reduction = nn.Conv2d(in_dim, dim, 2, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return conv_map(self.reduction, pad_to_multiple(conv_map(self.norm, x), (2, 2))[0])


class WindowAttention(nn.Module):
    """Softmax attention with relative position bias in windows, contiguous or not (section 3.1).

    The bias looks at positions in the window: in a shuffled window an offset of one is H / 7 or W / 7 tokens wide.

    Args:
        dim: Channels.
        num_heads: Heads.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.position = RelativePositionBias(WINDOW, num_heads)
        self.qkv = Pointwise(dim, 3 * dim, bias=False)
        self.proj = Pointwise(dim, dim)

    def forward(self, x: Tensor, groups: Groups) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        q, k, v = self.qkv(reorder(x.flatten(0, 2), groups.index, groups.inverse)).chunk(3, dim=-1)
        position = self.position()
        bias = [crop_bias(position, WINDOW, shape) for shape in groups.shapes]
        out = group_attention(q, k, v, groups, self.num_heads, bias)
        return self.proj(reorder(out, groups.inverse, groups.index)).view(x.shape)


class ShuffleBlock(nn.Module):
    """Attention, a depth-wise convolution and an MLP, each behind a BatchNorm, with residuals (section 3.3).

    Args:
        dim: Channels.
        num_heads: Heads.
        mlp_ratio: Of the MLP.
        drop_path: Rate of stochastic depth, of attention and MLP.
    """

    def __init__(self, dim: int, num_heads: int, mlp_ratio: float, drop_path: float) -> None:
        super().__init__()
        # In front of the convolution, so that mmcv's fuse_conv_bn takes none for what stands behind it.
        self.norm1 = nn.BatchNorm2d(dim)
        self.norm2 = nn.BatchNorm2d(dim)
        self.norm3 = nn.BatchNorm2d(dim)
        self.attn = WindowAttention(dim, num_heads)
        self.local = DepthwiseConv(dim, WINDOW[0])
        hidden_dim = int(dim * mlp_ratio)
        self.mlp = nn.Sequential(
            OrderedDict(fc1=Pointwise(dim, hidden_dim), act=nn.ReLU6(inplace=True), fc2=Pointwise(hidden_dim, dim)))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, groups: Groups) -> Tensor:
        x = x + self.drop_path(self.attn(conv_map(self.norm1, x), groups))
        x = x + conv_map(self.local, conv_map(self.norm2, x))
        return x + self.drop_path(self.mlp(conv_map(self.norm3, x)))


class ShuffleStage(Stage):
    """Blocks that attend in contiguous windows and in shuffled ones by turns."""

    def context(self, x: Tensor) -> Sequence[tuple]:
        return [(group_tokens(x.shape[:3], WINDOW, shuffled, x.device), ) for shuffled in (False, True)]


@MODELS.register_module()
class ShuffleTransformer(Backbone):
    """Shuffle Transformer; arguments and contract in `Backbone`.

    Two things differ from the other families. Stochastic depth has one rate a stage: 0, 1/3, 2/3 and all of
    ``drop_path_rate``. The authors have no norms on the outputs; since none follows the residual streams either,
    ``out_norm`` puts a new LayerNorm on each level (rather than a BatchNorm, whose statistics are poor where only a
    few images fit on a GPU).
    """

    family = 'shuffle_transformer'
    # The authors' configs; the paper's table 1 has the same.
    archs = {
        name: dict(dims=tuple(32 * n for n in heads), depths=depths, num_heads=heads, stem_dim=32, mlp_ratio=4)
        for name, depths, heads in (
            ('tiny',  (2, 2, 6, 2),  (3, 6, 12, 24)),
            ('small', (2, 2, 18, 2), (3, 6, 12, 24)),
            ('base',  (2, 2, 18, 2), (4, 8, 16, 32)),
        )
    }  # yapf: disable
    pooled_norms = None
    no_decay = ('relative_position_bias_table', )

    def build_patch_embed(self) -> nn.Module:
        return ShuffleEmbed(self.in_channels, self.spec['stem_dim'], self.spec['dims'][0])

    def build_stage(self, i: int, drop_path: Sequence[float]) -> nn.Module:
        dims = self.spec['dims']
        downsample = PatchMerging(dims[i - 1], dims[i]) if i else None
        blocks = [
            ShuffleBlock(dims[i], self.spec['num_heads'][i], self.spec['mlp_ratio'], rate) for rate in drop_path
        ]
        return ShuffleStage(blocks, downsample, self.with_cp)

    def drop_path_rates(self, rate: float) -> List[List[float]]:
        depths = self.spec['depths']
        return [[rate * i / max(len(depths) - 1, 1)] * depth for i, depth in enumerate(depths)]

    def init_module(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d):
            nn.init.trunc_normal_(module.weight, std=.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    rename = (
        (r'^to_token\.conv(\d)\.0\.', r'patch_embed.conv\1.'),
        (r'^to_token\.conv(\d)\.1\.', r'patch_embed.norm\1.'),
        (r'^to_token\.conv3\.', 'patch_embed.conv3.'),
        (r'^stage(\d)\.', lambda match: f'stages.{int(match[1]) - 1}.'),
        (r'\.patch_partition\.', '.downsample.'),
        (r'\.layers\.(\d+)\.([01])\.', lambda match: f'.blocks.{2 * int(match[1]) + int(match[2])}.'),
        (r'\.relative_position_index$', None),
        (r'\.relative_position_bias_table$', '.position.relative_position_bias_table'),
        (r'\.to_qkv\.', '.qkv.'),
        (r'^head\.', None),
    )
