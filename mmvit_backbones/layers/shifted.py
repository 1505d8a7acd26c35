"""Attention in windows that every second block shifts."""
from typing import Sequence, Tuple

import torch
from torch import Tensor, nn

from .groups import Groups, group_attention, reorder, sort_windows
from .windows import pad_to_multiple


def shifted_windows(size: Tuple[int, int, int], window: int, shift: int,
                    device: torch.device) -> Tuple[Groups, Tensor]:
    """Windows of maps that are rolled up and to the left (Swin, section 3.2).

    Rolling brings the top of a map into its last row of windows, and the left into the last column. There tokens from
    opposite ends of the map must not meet. Windows are sorted by the ends that they hold, in two and two at most four
    blocks, so that one mask serves a block.

    Args:
        size: B, H, W of the maps; the window divides H and W.
        window: Its side in tokens.
        shift: In tokens, less than the window; 0 for windows that are not shifted.
        device: Of the results.

    Returns:
        The windows, and the masks, (blocks, 1, window ** 2, window ** 2), to be added to the logits.
    """
    tokens = torch.arange(size[0] * size[1] * size[2], device=device).view(size).roll((-shift, -shift), (1, 2))
    windows = tokens.unfold(1, window, window).unfold(2, window, window)  # (B, rows, columns, window, window)
    end = torch.arange(window, device=device).ge(window - shift).int()  # which of two, 0 or 1
    apart = (end[:, None] - end).abs()
    together = torch.zeros_like(apart)
    rows, cols = [count - int(shift > 0) for count in windows.shape[1:3]]
    blocks, masks = [], []
    for row, row_mask in ((windows[:, :rows], together), (windows[:, rows:], apart)):
        for block, col_mask in ((row[:, :, :cols], together), (row[:, :, cols:], apart)):
            if block.numel():
                blocks.append(block.flatten(3).flatten(0, 2))
                # (query row, query column, key row, key column)
                mask = row_mask[:, None, :, None] | col_mask[:, None, :]
                masks.append(mask.flatten(2).flatten(0, 1))
    # -100, not minus infinity, is the authors'
    return sort_windows(blocks, [(window, window)] * len(blocks)), torch.stack(masks)[:, None] * -100.


class ShiftedWindowAttention(nn.Module):
    """Softmax attention inside square windows with a bias for positions (Swin, section 3.2).

    The map is padded at the bottom and the right. Padded tokens are zeros before the projections and take part in the
    softmax with what the bias of these makes of them: published weights were trained so.

    Args:
        dim: Channels.
        num_heads: Heads.
        position: Returns the bias of a window, (num_heads, tokens, tokens); its ``window`` is the height and the width.
        qkv_bias: Whether queries, keys and values have a bias.

    A subclass with other queries, keys and values overrides `project`.
    """

    def __init__(self, dim: int, num_heads: int, position: nn.Module, qkv_bias: bool = True) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.position = position
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)

    def project(self, x: Tensor) -> Sequence[Tensor]:
        """Tokens (tokens, C) -> queries, keys and values, (tokens, C) each."""
        return self.qkv(x).chunk(3, dim=-1)

    def forward(self, x: Tensor, groups: Groups, masks: Tensor) -> Tensor:
        """(B, H, W, C), and `shifted_windows` of the padded map -> (B, H, W, C)"""
        H, W = x.shape[1:3]
        x, _, _ = pad_to_multiple(x, self.position.window)
        q, k, v = self.project(reorder(x.flatten(0, 2), groups.index, groups.inverse))
        out = group_attention(q, k, v, groups, self.num_heads, (self.position() + masks).unbind())
        return self.proj(reorder(out, groups.inverse, groups.index).view(x.shape)[:, :H, :W])
