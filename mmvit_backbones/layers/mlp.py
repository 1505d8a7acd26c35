"""Feed-forward parts of a block."""
from typing import Optional

from torch import Tensor, nn

from .patch import conv_map


class Mlp(nn.Module):
    """Linear, GELU (the exact one), Linear on the last axis.

    Args:
        dim: Channels of input and output.
        hidden_dim: Channels between the two linears.
    """

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class ConvMlp(nn.Module):
    """Linear, depth-wise 3x3 convolution of the map, activation, Linear: the feed-forward part of PVT v2.

    Args:
        dim: Channels of input and output.
        hidden_dim: Channels between the two linears.
        act: The activation after the convolution, GELU (the exact one) where it is None.
        conv_act: Activation before the convolution, if there is one.
    """

    def __init__(self,
                 dim: int,
                 hidden_dim: int,
                 act: Optional[nn.Module] = None,
                 conv_act: Optional[nn.Module] = None) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.conv_act = nn.Identity() if conv_act is None else conv_act
        self.dwconv = nn.Conv2d(hidden_dim, hidden_dim, 3, padding=1, groups=hidden_dim)
        self.act = nn.GELU() if act is None else act
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        return self.fc2(self.act(conv_map(self.dwconv, self.conv_act(self.fc1(x)))))
