"""Convolutions with batch norm, as in ResNet (He et al., CVPR 2016)."""
from typing import List

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .norm import normed_conv


def conv_norm(in_dim: int, dim: int, kernel_size: int = 1, stride: int = 1, groups: int = 1) -> List[nn.Module]:
    """A convolution without bias, which keeps the size but for its stride, and a batch norm."""
    conv = nn.Conv2d(in_dim, dim, kernel_size, stride, kernel_size // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(dim)]


class NormedConvs(nn.Sequential):
    """Convolutions and what stands behind them, one after the other; batch norms as in `normed_conv`."""

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self)
        while parts:
            part = parts.pop(0)
            x = normed_conv(part, parts.pop(0), x) if parts and isinstance(parts[0], _BatchNorm) else part(x)
        return x


class Bottleneck(nn.Module):
    """The block of ResNet: 1x1, 3x3 and 1x1 convolutions with batch norm, and a residual.

    (B, H, W, in_dim) -> (B, H, W, dim)

    Args:
        in_dim: Channels of the input.
        inner: Channels inside.
        dim: Channels of the output.
        depthwise: Whether the 3x3 convolution is.
    """

    def __init__(self, in_dim: int, inner: int, dim: int, depthwise: bool = False) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(in_dim, inner)
        self.conv2, self.bn2 = conv_norm(inner, inner, 3, groups=inner if depthwise else 1)
        self.conv3, self.bn3 = conv_norm(inner, dim)
        self.downsample = NormedConvs(*([] if in_dim == dim else conv_norm(in_dim, dim)))

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 3, 1, 2)
        out = F.relu(normed_conv(self.conv1, self.bn1, x), inplace=True)
        out = F.relu(normed_conv(self.conv2, self.bn2, out), inplace=True)
        out = normed_conv(self.conv3, self.bn3, out) + self.downsample(x)
        return F.relu(out, inplace=True).permute(0, 2, 3, 1)
