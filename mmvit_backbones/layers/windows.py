"""Maps cut into rectangular windows, and put back."""
from typing import Tuple

import torch.nn.functional as F
from torch import Tensor


def pad_to_multiple(x: Tensor, window: Tuple[int, int], place: str = 'end') -> Tuple[Tensor, int, int]:
    """Zero-pads a map until the window divides it.

    Args:
        x: Map, (B, H, W, C).
        window: Height and width.
        place: 'end', all padding at the bottom and the right (Swin, Twins); 'centre', half of it (rounded down) at
            the top and the left (CSWin). Published weights notice the difference.

    Returns:
        The padded map, and the row and the column at which the original begins. The map itself where nothing is to be
        padded.
    """
    rows, cols = -x.shape[1] % window[0], -x.shape[2] % window[1]
    top, left = (rows // 2, cols // 2) if place == 'centre' else (0, 0)
    if rows or cols:
        x = F.pad(x, (0, 0, left, cols - left, top, rows - top))
    return x, top, left


def split_windows(x: Tensor, window: Tuple[int, int]) -> Tensor:
    """(B, H, W, C) -> (B * H/h * W/w, h, w, C), windows in row-major order; (h, w) divides (H, W)."""
    B, H, W, C = x.shape
    h, w = window
    return x.view(B, H // h, h, W // w, w, C).transpose(2, 3).reshape(-1, h, w, C)


def merge_windows(windows: Tensor, size: Tuple[int, int]) -> Tensor:
    """The inverse of `split_windows`: (B * H/h * W/w, h, w, C) -> (B, H, W, C) for ``size`` = (H, W)."""
    _, h, w, C = windows.shape
    H, W = size
    return windows.view(-1, H // h, W // w, h, w, C).transpose(2, 3).reshape(-1, H, W, C)
