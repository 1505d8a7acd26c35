"""DWNet and dynamic DWNet (Han et al., ICLR 2022, arXiv 2106.04263).

New in it: local attention is compared with depth-wise convolutions of its size, which take its place in Swin: with
learned kernels, with kernels that are computed for each image, or with kernels that are computed for each position.

Facts from Atten4Vis/DemystifyLocalViT (MIT): its detection backbone at ce7c0b7, for learned kernels and those of an
image; those of a position from models/idynamic.py there, the classifier. The names are those of the classifier at
2e2327c, which the published weights were trained with; the newest one does not run.
"""
from functools import partial
from typing import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import (DepthwiseConv, DropPath, Mlp, PatchEmbed, PatchMerging, can_fold, conv_map, depthwise_conv, fold,
                      normed_conv, pad_to_multiple, varying_conv)
from ..registry import MODELS
from .base import Backbone, Stage

KERNEL_SIZE = 7
GROUPS = 32


class DynamicDepthwiseConv(nn.Module):
    """A depth-wise convolution, (B, C, H, W) -> (B, C, H, W), with kernels that are computed from the mean of the map.

    Args:
        dim: Channels.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(dim, dim // 4, 1, bias=False)
        self.bn = nn.BatchNorm2d(dim // 4)
        self.conv2 = nn.Conv2d(dim // 4, dim * KERNEL_SIZE**2, 1)
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        B, C, H, W = x.shape
        if B == 1 and self.bn.training and not isinstance(self.bn, nn.SyncBatchNorm):
            raise ValueError("DWNet's kernels of an image expect two images or more at once in training, since their "
                             "means are normalised over the batch, but got one. Write sync_bn='torch' in the config, "
                             'or norm_eval=True in the backbone, for one image a GPU.')
        kernels = self.conv2(self.bn(self.conv1(x.mean((2, 3), keepdim=True))).relu())
        kernels, bias = kernels.view(B * C, 1, KERNEL_SIZE, KERNEL_SIZE), self.bias
        if B > 1:  # one convolution for all images
            x, bias = x.reshape(1, B * C, H, W), bias.repeat(B)
        return depthwise_conv(x, kernels, bias).view(B, C, H, W).contiguous(memory_format=torch.channels_last)


class InhomogeneousDepthwiseConv(nn.Module):
    """The same with kernels that are computed at each position, one for all channels of a group.

    Args:
        dim: Channels.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(dim, dim // 4, 1)
        self.bn = nn.BatchNorm2d(dim // 4)
        self.conv2 = nn.Conv2d(dim // 4, GROUPS * KERNEL_SIZE**2, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.bn(self.conv1(x)).relu().permute(0, 2, 3, 1)
        # Groups are what lies side by side, here and in the map: (group, tap) -> (tap, group)
        weight = self.conv2.weight.view(GROUPS, KERNEL_SIZE**2, -1).transpose(0, 1).flatten(0, 1)
        bias = self.conv2.bias.view(GROUPS, KERNEL_SIZE**2).t().flatten()
        # (B, H, W, taps * groups) -> (taps, B, H, W, 1, groups)
        kernels = F.linear(hidden, weight, bias).unflatten(-1, (-1, 1, GROUPS)).movedim(3, 0)
        values = x.permute(0, 2, 3, 1).unflatten(-1, (GROUPS, -1)).transpose(-1, -2)
        return varying_conv(values, kernels).transpose(-1, -2).flatten(3).permute(0, 3, 1, 2)


OPERATORS = {
    'static': partial(DepthwiseConv, kernel_size=KERNEL_SIZE),
    'dynamic': DynamicDepthwiseConv,
    'inhomogeneous': InhomogeneousDepthwiseConv,
}
"""{name of an operator: what makes it for a number of channels}"""


class SpatialMixer(nn.Module):
    """1 x 1 convolution, depth-wise 7 x 7 convolution, 1 x 1 convolution, each with a batch norm, ReLUs in between.

    Where the map is padded, with zeros at the bottom and the right, the first norm turns them into another value, which
    the depth-wise convolution sees next to the border, the mean of a map holds, and the statistics of the batch count.

    Args:
        dim: Channels.
        operator: Key of `OPERATORS`.
        multiple: What the sides of the map are padded to multiples of; 1 leaves them as they are.
    """

    def __init__(self, dim: int, operator: str, multiple: int) -> None:
        super().__init__()
        self.multiple = multiple
        self.conv0 = nn.Conv2d(dim, dim, 1, bias=False)
        self.bn0 = nn.BatchNorm2d(dim)
        self.conv = OPERATORS[operator](dim)
        self.bn = nn.BatchNorm2d(dim)
        self.conv2 = nn.Conv2d(dim, dim, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        H, W = x.shape[1:3]
        if self.bn.training:
            x = pad_to_multiple(x, (self.multiple, self.multiple))[0].permute(0, 3, 1, 2)
            x = self.bn(self.conv(self.bn0(self.conv0(x)).relu())).relu()
            return self.bn2(self.conv2(x))[:, :, :H, :W].permute(0, 2, 3, 1)
        rows, cols = -H % self.multiple, -W % self.multiple
        if not isinstance(self.conv, DynamicDepthwiseConv):  # as far as it is seen
            rows, cols = min(rows, KERNEL_SIZE // 2), min(cols, KERNEL_SIZE // 2)
        if rows or cols:
            x = F.pad(x, (0, 0, 0, cols, 0, rows))
        x = normed_conv(self.conv0, self.bn0, x.permute(0, 3, 1, 2)).relu_()
        if isinstance(self.conv, DepthwiseConv) and can_fold(self.bn, x):
            x = depthwise_conv(x, *fold(self.conv, self.bn))
        else:
            x = self.bn(self.conv(x))
        return normed_conv(self.conv2, self.bn2, x[:, :, :H, :W].relu()).permute(0, 2, 3, 1)


class DWBlock(nn.Module):
    """x + mixer(x), then x + mlp(bn(x)), with stochastic depth on either branch.

    Args:
        dim: Channels.
        operator, multiple: As for `SpatialMixer`.
        mlp_ratio: Hidden channels of the MLP, in multiples of ``dim``.
        drop_path: Rate of stochastic depth.
    """

    def __init__(self, dim: int, operator: str, multiple: int, mlp_ratio: float, drop_path: float) -> None:
        super().__init__()
        self.mixer = SpatialMixer(dim, operator, multiple)
        self.bn = nn.BatchNorm2d(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.mixer(x))
        return x + self.drop_path(self.mlp(conv_map(self.bn, x)))


class MapNorm(nn.Module):
    """A batch norm on a map (B, H, W, C). The norm is inside, where it can become a synchronised one."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        return conv_map(self.bn, x)


@MODELS.register_module()
class DWNet(Backbone):
    """DWNet; arguments and contract in `Backbone`, and

    Args:
        padding: Each block pads its map to multiples of 7, as the authors' dense code does; with ``out_type='pooled'``
            none does, as in their classifier.

    In ``arch``, ``operator`` is 'static' (learned kernels), 'dynamic' (kernels of an image) or 'inhomogeneous' (kernels
    of a position). The dense models of the authors are the first two. Their batch norms were synchronised in training:
    ``sync_bn='torch'`` in a config of mmengine's.
    """

    family = 'dwnet'
    # The authors' configs; they have published no weights of the last two.
    archs = {
        name: dict(dims=tuple(C * 2**i for i in range(4)), depths=depths, operator=operator, mlp_ratio=4)
        for name, C, depths, operator in (
            ('dwnet_tiny',            96, (2, 2, 6, 2),  'static'),
            ('dwnet_base',           128, (2, 2, 18, 2), 'static'),
            ('dynamic_dwnet_tiny',    96, (2, 2, 6, 2),  'dynamic'),
            ('dynamic_dwnet_base',   128, (2, 2, 18, 2), 'dynamic'),
            ('i_dynamic_dwnet_tiny',  96, (2, 2, 6, 2),  'inhomogeneous'),
            ('i_dynamic_dwnet_base', 128, (2, 2, 18, 2), 'inhomogeneous'),
        )
    }  # yapf: disable
    options = dict(padding=True)

    def build_patch_embed(self) -> nn.Module:
        operator = self.spec['operator']
        self._check(operator in OPERATORS, f'operator to be one of {", ".join(OPERATORS)}', operator)
        return PatchEmbed(self.in_channels, self.spec['dims'][0])

    def build_stage(self, i: int, drop_path: Sequence[float]) -> nn.Module:
        dims, operator, ratio = (self.spec[key] for key in ('dims', 'operator', 'mlp_ratio'))
        downsample = PatchMerging(dims[i - 1], dims[i]) if i else None
        multiple = KERNEL_SIZE if self.padding and self.out_type == 'featmap' else 1
        blocks = [DWBlock(dims[i], operator, multiple, ratio, rate) for rate in drop_path]
        return Stage(blocks, downsample, self.with_cp)

    def build_norm(self, i: int) -> nn.Module:
        return MapNorm(self.spec['dims'][i]) if self.out_type == 'featmap' else super().build_norm(i)

    rename = (
        (r'^layers\.(\d)\.downsample\.', lambda match: f'stages.{int(match[1]) + 1}.downsample.'),
        (r'^layers\.', 'stages.'),
        (r'\.attn2conv\.', '.mixer.'),
        (r'\.conv\.conv(\d)\.0\.', r'.conv.conv\1.'),
        (r'\.conv\.conv1\.1\.', '.conv.bn.'),
        (r'^norm(\d)\.', r'norm\1.bn.'),
        (r'^head\.', None),
    )
