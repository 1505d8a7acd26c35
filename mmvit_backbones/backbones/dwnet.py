"""DWNet and dynamic DWNet (Han et al., ICLR 2022, arXiv 2106.04263).

New in it: local attention is compared with depth-wise convolutions of its size, which take its place in Swin: with
learned kernels, with kernels that are computed for each image, or with kernels that are computed for each position.

Facts from Atten4Vis/DemystifyLocalViT (MIT): its detection backbone at ce7c0b7, for learned kernels and those of an
image; those of a position from models/idynamic.py there, the classifier. The names are those of the classifier at
2e2327c, which the published weights were trained with; the newest one does not run.
"""
from functools import partial
from typing import Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import (DepthwiseConv, DropPath, Mlp, PatchEmbed, PatchMerging, conv_map, depthwise_conv, pad_to_multiple,
                      runs_on_cpu, widen)
from ..registry import MODELS
from .base import Backbone, Stage

KERNEL_SIZE = 7
GROUPS = 32
PIECE = 1 << 20
"""Values of kernels of positions that are computed at once on CPUs without gradients."""


class DynamicDepthwiseConv(nn.Module):
    """A depth-wise convolution with kernels computed from the mean of a map, (B, C, H, W) -> (B, C, H, W) (section 3.2).

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
        if len(x) == 1 and self.bn.training and not isinstance(self.bn, nn.SyncBatchNorm):
            raise ValueError('DWNet with kernels of an image expects two images or more at once in training, since their '
                             "means are normalised over the batch, but got one. Write sync_bn='torch' in the config, or "
                             'norm_eval=True in the backbone, for one image a GPU.')
        kernels = self.conv2(self.bn(self.conv1(x.mean((2, 3), keepdim=True))).relu())
        kernels = kernels.view(len(x), -1, 1, KERNEL_SIZE, KERNEL_SIZE)
        return torch.cat([depthwise_conv(*image, self.bias) for image in zip(x.split(1), kernels)])


class InhomogeneousDepthwiseConv(nn.Module):
    """The same with kernels computed at each position, one for all channels of a group (section 3.2).

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
        B, H, W, _ = hidden.shape
        # Groups are what lies side by side, here and in the map: (group, tap) -> (tap, group)
        weight, bias = (part.flatten(1).unflatten(0, (GROUPS, -1)).transpose(0, 1).flatten(0, 1)
                        for part in (self.conv2.weight, self.conv2.bias[:, None]))
        border = KERNEL_SIZE // 2
        padded = x.permute(0, 2, 3, 1).unflatten(-1, (GROUPS, -1)).transpose(-1, -2)  # (B, H, W, C / groups, groups)
        padded = F.pad(padded, (0, 0, 0, 0, border, border, border, border))
        out = widen(x).new_zeros(B, H, W, *padded.shape[3:])
        rows = H
        if not torch.is_grad_enabled() and runs_on_cpu(x):
            rows = max(PIECE // (B * W * len(weight)), 1)
        for start in range(0, H, rows):
            piece = out[:, start:start + rows]
            kernels = F.linear(hidden[:, start:start + rows], weight, bias[:, 0])
            for tap, kernel in enumerate(kernels.unflatten(-1, (-1, 1, GROUPS)).unbind(3)):
                row, column = start + tap // KERNEL_SIZE, tap % KERNEL_SIZE
                piece.addcmul_(kernel, padded[:, row:row + piece.shape[1], column:column + W])
        return out.transpose(-1, -2).flatten(3).permute(0, 3, 1, 2).to(x.dtype)


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
        x = F.pad(x, (0, 0, 0, cols, 0, rows)).permute(0, 3, 1, 2)
        x = F.conv2d(x, *fold(self.conv0, self.bn0)).relu_()
        if isinstance(self.conv, DepthwiseConv):
            x = depthwise_conv(x, *fold(self.conv, self.bn))
        else:
            x = self.bn(self.conv(x))
        return F.conv2d(x[:, :, :H, :W].relu(), *fold(self.conv2, self.bn2)).permute(0, 2, 3, 1)


def fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Tuple[Tensor, Tensor]:
    """Weight and bias of the convolution that is ``conv``, then ``norm`` with the statistics that it has."""
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    bias = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
    return conv.weight * scale[:, None, None, None], torch.addcmul(norm.bias, bias, scale)


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
