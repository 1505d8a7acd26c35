"""Feed-forward parts of a block."""
from functools import partial
from typing import Callable, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .eager import runs_on_cpu
from .norm import normed_conv
from .patch import conv_map
from .pointwise import Pointwise

PIECE = 1 << 21
"""Hidden values that are computed at once on CPUs without gradients: more of them leave the caches, and every map takes
fresh pages from the system, which cost more than the arithmetic."""


class Mlp(nn.Module):
    """Linear, activation, Linear on the last axis.

    Args:
        dim: Channels of input and output.
        hidden_dim: Channels between the two linears.
        act: The activation, GELU (the exact one) where it is None.
    """

    def __init__(self, dim: int, hidden_dim: int, act: Optional[nn.Module] = None) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.act = nn.GELU() if act is None else act
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        count = PIECE // self.fc1.out_features
        if torch.is_grad_enabled() or not runs_on_cpu(x) or x[..., 0].numel() <= count:
            return self.fc2(self.act(self.fc1(x)))
        pieces = x.flatten(0, -2).split(count)
        return torch.cat([self.fc2(self.act(self.fc1(piece))) for piece in pieces]).view_as(x)


class ConvMlp(nn.Module):
    """Linear, depth-wise 3x3 convolution of the map, activation, Linear: the feed-forward part of PVT v2.

    Args:
        dim: Channels of input and output.
        hidden_dim: Channels between the two linears.
        act: The activation after the convolution, GELU (the exact one) where it is None.
        conv_act: Activation before the convolution, if there is one.
        linear: Class of the two linears.
    """

    def __init__(self,
                 dim: int,
                 hidden_dim: int,
                 act: Optional[nn.Module] = None,
                 conv_act: Optional[nn.Module] = None,
                 linear: Callable[[int, int], nn.Module] = nn.Linear) -> None:
        super().__init__()
        self.fc1 = linear(dim, hidden_dim)
        self.conv_act = nn.Identity() if conv_act is None else conv_act
        self.dwconv = nn.Conv2d(hidden_dim, hidden_dim, 3, padding=1, groups=hidden_dim)
        self.act = nn.GELU() if act is None else act
        self.fc2 = linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        return convolve_between(self.dwconv, x, lambda x: self.conv_act(self.fc1(x)), lambda x: self.fc2(self.act(x)))


class NormedMlp(nn.Module):
    """Linear, depth-wise 3x3 convolution, Linear, each with BatchNorm, and GELU between them: CeiT's and HRFormer's.

    (B, H, W, C) -> (B, H, W, C)

    Args:
        dim: Channels of input and output.
        hidden_dim: Channels between the two linears.
    """

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.fc1 = Pointwise(dim, hidden_dim)
        self.norm1 = nn.BatchNorm2d(hidden_dim)
        self.dw3x3 = nn.Conv2d(hidden_dim, hidden_dim, 3, padding=1, groups=hidden_dim)
        self.norm2 = nn.BatchNorm2d(hidden_dim)
        self.fc2 = Pointwise(hidden_dim, dim)
        self.norm3 = nn.BatchNorm2d(dim)

    def before(self, x: Tensor) -> Tensor:
        return F.gelu(self.fc1(x, self.norm1))

    def after(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(x), self.norm3)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:  # statistics are of the whole map
            return self.after(conv_map(partial(normed_conv, self.dw3x3, self.norm2), self.before(x)))
        return convolve_between(self.dw3x3, x, self.before, self.after, self.norm2)


def convolve_between(conv: nn.Conv2d,
                     x: Tensor,
                     before: Callable[[Tensor], Tensor],
                     after: Callable[[Tensor], Tensor],
                     norm: Optional[nn.Module] = None) -> Tensor:
    """after(conv(before(x))) for maps, (B, H, W, C) -> (B, H, W, C'), on CPUs without gradients some rows at a time.

    Args:
        conv: Depth-wise, 3 x 3, with a border of one zero.
        x: Map.
        before, after: From map to map, each position by itself.
        norm: A batch norm that is a part of ``conv``, with the statistics that it has.
    """
    B, H, W, _ = x.shape
    rows = max(PIECE // (B * W * conv.out_channels), 1)
    conv = conv if norm is None else partial(normed_conv, conv, norm)
    if torch.is_grad_enabled() or not runs_on_cpu(x) or H <= rows:
        return after(conv_map(conv, before(x)))
    pieces = []
    for start in range(0, H, rows):
        first = max(start - 1, 0)
        piece = conv_map(conv, before(x[:, first:start + rows + 1]))  # with the neighbours that the convolution sees
        pieces.append(after(piece[:, start - first:start - first + rows]))
    return torch.cat(pieces, 1)
