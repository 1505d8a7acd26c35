"""Attention in windows that need not be contiguous nor equally large: tokens are sorted, nothing is padded or masked."""
from typing import List, NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor

from .attention import attention


class Groups(NamedTuple):
    """The tokens of a batch of maps, sorted by window, and the windows by shape.

    Where the side of a window does not divide the map's, some windows have fewer rows, some fewer columns, some both:
    four shapes at most. The windows of one shape, of all maps of the batch, are a dense block of tokens.

    Attributes:
        shapes: Rows and columns of the windows of each block.
        blocks: Number of the windows of each block, and of the tokens in each of these windows.
        index: (tokens, ), which token comes to each place, counted row-major over the maps of the batch.
        inverse: (tokens, ), to which place each token comes.
    """
    shapes: Sequence[Tuple[int, int]]
    blocks: Sequence[Tuple[int, int]]
    index: Tensor
    inverse: Tensor


def group_tokens(size: Tuple[int, int, int], window: Tuple[int, int], dilated: bool, device: torch.device) -> Groups:
    """Sorts tokens by window.

    Args:
        size: B, H, W of the maps.
        window: Rows and columns of a window; the number of windows is that of contiguous ones, however they are laid.
        dilated: Rows and columns of a window are not neighbours but lie ceil(H / window[0]) and ceil(W / window[1])
            apart, and so span the map.
        device: Of the result's tensors.
    """
    windows = list_windows(size, window, dilated, device)
    return sort_windows([tokens.flatten(1) for tokens in windows], [tuple(tokens.shape[1:]) for tokens in windows])


def list_windows(size: Tuple[int, int, int], window: Tuple[int, int], dilated: bool,
                 device: torch.device) -> List[Tensor]:
    """The tokens of each window, (windows, rows, columns), for each shape of windows; arguments as `group_tokens`."""
    tokens = torch.arange(size[0] * size[1] * size[2], device=device).view(size)
    blocks = []
    for row, height, row_step in _cuts(size[1], window[0], dilated):
        for column, width, column_step in _cuts(size[2], window[1], dilated):
            block = tokens[:, row:, column:].unfold(1, height, row_step).unfold(2, width, column_step)
            # contiguous windows: (B, window row, window column, row, column); dilated ones: the two pairs swapped
            if dilated:
                block = block.permute(0, 3, 4, 1, 2)
            blocks.append(block.flatten(0, 2))
    return blocks


def sort_windows(windows: Sequence[Tensor], shapes: Sequence[Tuple[int, int]]) -> Groups:
    """`Groups` of windows whose tokens are given, (windows, tokens) for each shape; every token is in one window."""
    index = torch.cat([tokens.flatten() for tokens in windows])
    inverse = torch.empty_like(index).scatter_(0, index, torch.arange(len(index), device=index.device))
    return Groups(shapes, [tuple(tokens.shape) for tokens in windows], index, inverse)


def reorder(x: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
    """x[index] for rows (tokens, C) and a permutation, whose inverse makes the backward pass a mere gather too."""
    if torch.is_grad_enabled() and x.requires_grad:
        return _Reorder.apply(x, index, inverse)
    return x.index_select(0, index)


def group_attention(q: Tensor, k: Tensor, v: Tensor, groups: Groups, num_heads: int,
                    bias: Sequence[Optional[Tensor]]) -> Tensor:
    """Attention inside each window.

    Args:
        q, k, v: Of the sorted tokens, (tokens, C).
        groups: Their order.
        num_heads: Heads.
        bias: Added to the logits of each block, (heads, tokens, tokens), or None.

    Returns:
        (tokens, C), sorted as before.
    """
    lengths = [windows * tokens for windows, tokens in groups.blocks]
    blocks = zip(zip(*(x.split(lengths) for x in (q, k, v))), groups.blocks, bias)
    outs = []
    for qkv, (windows, tokens), term in blocks:
        # each (windows, heads, tokens, d)
        parts = (x.view(windows, tokens, num_heads, -1).transpose(1, 2) for x in qkv)
        outs.append(attention(*parts, None if term is None else term[None]).flatten(0, 1))
    return torch.cat(outs) if len(outs) > 1 else outs[0]


def crop_bias(bias: Tensor, window: Tuple[int, int], shape: Tuple[int, int]) -> Tensor:
    """The part of a window's bias (heads, tokens, tokens) for a window with the first ``shape`` rows and columns."""
    if tuple(shape) == tuple(window):
        return bias
    h, w = shape
    return bias.unflatten(2, window).unflatten(1, window)[:, :h, :w, :h, :w].reshape(len(bias), h * w, h * w)


class _Reorder(torch.autograd.Function):

    @staticmethod
    def forward(ctx, x: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(index, inverse)
        return x.index_select(0, index)

    @staticmethod
    def backward(ctx, grad: Tensor):
        index, inverse = ctx.saved_tensors
        return reorder(grad, inverse, index), None, None


def _cuts(length: int, window: int, dilated: bool) -> List[Tuple[int, int, int]]:
    """Start, size and step with which `Tensor.unfold` cuts an axis, once for each of the two lengths of windows.

    Contiguous windows: a cut is a window. Dilated ones: a cut is the row that the k-th members of all windows form.
    """
    if dilated:
        step = -(-length // window)
        longer = length % step
        cuts = (0, longer, step), (longer, step - longer, step)
    else:
        rest = length % window
        cuts = (0, window, window), (length - rest, rest, rest)
    return [(start, size, step) for start, size, step in cuts if size and start + size <= length]
