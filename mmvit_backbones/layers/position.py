"""What tells a network where a token is, and how a table for one size serves another."""
from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .patch import conv_map


def relative_index(window: Tuple[int, int]) -> Tensor:
    """Which of the (2 h - 1) (2 w - 1) offsets between tokens of a window (h, w), row-major, two tokens are apart.

    Returns:
        (h * w, h * w), query minus key.
    """
    h, w = window
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing='ij')
    rows = y.flatten()[:, None] - y.flatten() + h - 1
    cols = x.flatten()[:, None] - x.flatten() + w - 1
    return rows * (2 * w - 1) + cols


class RelativePositionBias(nn.Module):
    """One learned value a head for each offset between two tokens of a window (Swin, section 3.2).

    Args:
        window: Height and width of the window in tokens.
        num_heads: Heads.
    """

    def __init__(self, window: Tuple[int, int], num_heads: int) -> None:
        super().__init__()
        self.window = window
        h, w = window
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * h - 1) * (2 * w - 1), num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=.02)
        self.register_buffer('index', relative_index(window), persistent=False)

    def forward(self) -> Tensor:
        """The bias, (num_heads, h * w queries, h * w keys)."""
        return self.relative_position_bias_table.t()[:, self.index]

    def resize(self, name: str, value: Tensor) -> Optional[Tensor]:
        """A table of a checkpoint, of a square window of another size, interpolated to this one's (bicubic).

        None for what is no such table.
        """
        side = round(len(value)**.5)
        if side == 0 or value.shape != (side**2, self.relative_position_bias_table.shape[1]):
            return None
        table = value.t().reshape(1, -1, side, side).float()
        size = tuple(2 * side - 1 for side in self.window)
        return F.interpolate(table, size, mode='bicubic', align_corners=False).flatten(2)[0].t().to(value.dtype)


class PositionalEncodingGenerator(nn.Module):
    """x plus a depth-wise 3x3 convolution of x: a positional encoding for any size (PEG of CPVT, arXiv 2102.10882).

    The zeros around the map are what a token learns its position from.

    Args:
        dim: Channels.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        return x + conv_map(self.proj, x)


def resize_position(table: Tensor, size: Tuple[int, int], mode: str = 'bilinear') -> Tensor:
    """A map of position vectors, interpolated to another size (align_corners False, no antialiasing).

    Args:
        table: (1, h, w, C).
        size: Height and width wanted.
        mode: Of `torch.nn.functional.interpolate`.

    Returns:
        (1, *size, C); the table itself where it has that size.
    """
    if table.shape[1:3] == size:
        return table
    resized = F.interpolate(table.permute(0, 3, 1, 2), size, mode=mode, align_corners=False)
    return resized.permute(0, 2, 3, 1)
