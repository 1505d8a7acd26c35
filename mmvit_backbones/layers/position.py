"""What tells a network where a token is, and how a table for one size serves another."""
from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .patch import conv_map
from .precision import widen


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
        mode: How tables for windows of another size are interpolated.
    """

    def __init__(self, window: Tuple[int, int], num_heads: int, mode: str = 'bicubic') -> None:
        super().__init__()
        self.window = window
        self.mode = mode
        h, w = window
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * h - 1) * (2 * w - 1), num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=.02)
        self.register_buffer('index', relative_index(window), persistent=False)

    def forward(self) -> Tensor:
        """The bias, (num_heads, h * w queries, h * w keys)."""
        return self.relative_position_bias_table.t()[:, self.index]

    def resize(self, name: str, value: Tensor) -> Optional[Tensor]:
        """A table of a checkpoint, of a square window of another size, interpolated to this one's.

        None for what is no such table.
        """
        side = round(len(value)**.5)
        if side == 0 or value.shape != (side**2, self.relative_position_bias_table.shape[1]):
            return None
        table = value.t().reshape(1, -1, side, side).float()
        size = tuple(2 * side - 1 for side in self.window)
        return F.interpolate(table, size, mode=self.mode, align_corners=False).flatten(2)[0].t().to(value.dtype)


class DecomposedPosition(nn.Module):
    """A learned vector for each vertical and each horizontal offset of two tokens (MViTv2, section 3.1; ViTDet).

    The logit of query i and key j gets q_i . (rel_pos_h[y_i - y_j] + rel_pos_w[x_i - x_j]). Nothing of the size of the
    logits is made for that: queries and keys are widened, [q, q . rows, q . columns] and [k / sqrt(d), one-hot row,
    one-hot column], so that their product is the sum.

    Args:
        side: Rows, and columns, that the tables are for: the larger number of those of queries and of keys. For others
            the tables are interpolated each time they are read (linear).
        dim: Channels of a head.
    """

    def __init__(self, side: int, dim: int) -> None:
        super().__init__()
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * side - 1, dim))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * side - 1, dim))

    def forward(self, q: Tensor, k: Tensor, size: Tuple[int, int], key_size: Tuple[int, int]) -> Tuple[Tensor, Tensor]:
        """Queries and keys whose product, without a scale, is all of the logits.

        Args:
            q: Of maps, (batch, heads, n + H * W, d). The first n, such as a class token, have no position.
            k: The same of the keys.
            size, key_size: H and W of both.
        """
        d, n = q.shape[-1], q.shape[2] - size[0] * size[1]
        tokens = q[:, :, n:].unflatten(2, size)
        rows = torch.einsum('bnyxd,ykd->bnyxk', tokens, self.offsets(self.rel_pos_h, size[0], key_size[0]))
        cols = torch.einsum('bnyxd,xkd->bnyxk', tokens, self.offsets(self.rel_pos_w, size[1], key_size[1]))
        terms = torch.cat([rows, cols], -1).flatten(2, 3)
        places = [torch.eye(side, device=k.device).to(k.dtype) for side in key_size]  # PyTorch 2.1 has no other on CPUs
        places = torch.cat([places[0].repeat_interleave(key_size[1], 0), places[1].repeat(key_size[0], 1)], -1)
        fill = -(d + terms.shape[-1]) % 8  # kernels of GPUs want multiples of 8
        q = torch.cat([q, F.pad(terms, (0, fill, n, 0))], -1)
        return q, torch.cat([k * d**-.5, F.pad(places, (0, fill, n, 0)).expand(*k.shape[:2], -1, -1)], -1)

    def offsets(self, table: Tensor, queries: int, keys: int) -> Tensor:
        """The vectors of a table for each query and key along an axis, (queries, keys, d)."""
        length = 2 * max(queries, keys) - 1
        if len(table) != length:
            table = F.interpolate(table.t()[None], length, mode='linear')[0].t()
        # In float32, where the authors round down.
        y, x = [torch.arange(side, dtype=torch.float32, device=table.device) for side in (queries, keys)]
        step, key_step = max(keys / queries, 1.), max(queries / keys, 1.)
        return table[(y[:, None] * step - x * key_step + (keys - 1) * key_step).long()]


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


def resize_position(table: Tensor, size: Tuple[int, int], mode: str = 'bilinear', antialias: bool = False) -> Tensor:
    """A map of position vectors, interpolated to another size (align_corners False) in float32.

    Args:
        table: (1, h, w, C).
        size: Height and width wanted.
        mode, antialias: Of `torch.nn.functional.interpolate`.

    Returns:
        (1, *size, C); the table itself where it has that size.
    """
    if table.shape[1:3] == size:
        return table
    resized = F.interpolate(
        widen(table).permute(0, 3, 1, 2), size, mode=mode, align_corners=False, antialias=antialias)
    return resized.permute(0, 2, 3, 1).to(table.dtype)
