"""Positional terms that attention adds to its logits, and how a table for one size serves another."""
from typing import Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
        y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing='ij')
        rows = y.flatten()[:, None] - y.flatten() + h - 1
        cols = x.flatten()[:, None] - x.flatten() + w - 1
        self.register_buffer('index', rows * (2 * w - 1) + cols, persistent=False)

    def forward(self) -> Tensor:
        """The bias, (num_heads, h * w queries, h * w keys)."""
        return self.relative_position_bias_table.t()[:, self.index]

    def resize(self, name: str, value: Tensor) -> Tensor:
        """A table of a checkpoint, of a square window of another size, interpolated to this one's (bicubic)."""
        side = round(len(value)**.5)
        table = value.t().reshape(1, -1, side, side).float()
        size = tuple(2 * side - 1 for side in self.window)
        return F.interpolate(table, size, mode='bicubic', align_corners=False).flatten(2)[0].t().to(value.dtype)
