"""The package's one door to ``scaled_dot_product_attention``, and attention that several papers have."""
from functools import partial
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .eager import runs_on_cpu
from .mlp import PIECE
from .patch import conv_map

MAPS = 1 << 25
"""Values of attention's maps that are there at once where `PIECE` is not the limit: enough to keep a GPU busy. On CPUs,
of smaller tensors that come and go while a graph is recorded, the C library gives little back."""


def attention(q: Tensor, k: Tensor, v: Tensor, bias: Optional[Tensor] = None, scale: Optional[float] = None) -> Tensor:
    """softmax(scale * q k^T + bias) v, with the heads side by side in the result.

    Args:
        q: Queries, (batch, heads, queries, d).
        k: Keys, (batch, heads, keys, d).
        v: Values, (batch, heads, keys, d_v).
        bias: Added to the logits, or a boolean mask in which False excludes a key; broadcast to
            (batch, heads, queries, keys).
        scale: Factor on the logits, d ** -0.5 where it is None.

    Returns:
        (batch, queries, heads * d_v)
    """
    if bias is not None and bias.dtype.is_floating_point:
        bias = bias.to(q.dtype)
    scale = q.shape[-1]**-.5 if scale is None else scale
    if bias is not None and bias.requires_grad and bias.is_cpu:
        # No fused CPU kernel has a gradient for the bias; what PyTorch falls back to checks every row for excluded keys.
        out = (scale * q @ k.transpose(-2, -1) + bias).softmax(-1) @ v
    else:
        if q.is_cuda and q.shape[-1] % 8:  # fused kernels of GPUs want multiples of 8
            q, k = [F.pad(x, (0, -x.shape[-1] % 8)) for x in (q, k)]
        missing = max(q.shape[-1] - v.shape[-1], 0)  # most fused kernels want equal widths
        wide = F.pad(v, (0, missing)) if missing else v
        out = F.scaled_dot_product_attention(q, k, wide, attn_mask=bias, scale=scale)[..., :v.shape[-1]]
    return out.transpose(1, 2).flatten(2)


def mix_heads(weight: Tensor, maps: Tensor) -> Tensor:
    """The maps of each head as a sum of those of all: a linear layer on their axis, which stays where it is.

    Args:
        weight: (heads, heads)
        maps: (batch, heads, queries, keys)
    """
    return torch.bmm(weight.expand(len(maps), -1, -1), maps.flatten(2)).view_as(maps)


def mixed_attention(q: Tensor,
                    k: Tensor,
                    v: Tensor,
                    after: Tensor,
                    bias: Tensor,
                    before: Optional[Tensor] = None,
                    scale: Optional[float] = None) -> Tensor:
    """(after softmax(before (scale * q k^T)) + bias) v, with the heads side by side in the result.

    No fused kernel mixes maps. They are there for some queries at a time, and computed again in the backward pass where
    these are not all: memory is linear in the tokens, for a third more arithmetic.

    Args:
        q, k, v, scale: As for `attention`.
        after: What each head takes from the maps of all behind the softmax, (heads, heads).
        bias: Added to every value of a head's map, (heads, ).
        before: The same as ``after`` in front of the softmax; None leaves the logits as they are. (A bias there would
            change nothing: it is the same for all keys.)

    Returns:
        (batch, queries, heads * d_v)
    """
    q = q * (q.shape[-1]**-.5 if scale is None else scale)
    limit = PIECE if runs_on_cpu(q) and not torch.is_grad_enabled() else MAPS
    pieces = min(-(-q[..., 0].numel() * k.shape[2] // limit), q.shape[2])
    if pieces <= 1:
        out = _mixed_rows(q, k, v, after, before)
    elif torch.is_grad_enabled():
        call = partial(checkpoint, _mixed_rows, use_reentrant=False, preserve_rng_state=False)
        out = torch.cat([call(part, k, v, after, before) for part in q.chunk(pieces, 2)], 2)
    else:
        out = q.new_empty(*q.shape[:3], v.shape[-1])  # all of it before the maps: what is kept between them keeps their memory
        for part, place in zip(q.chunk(pieces, 2), out.chunk(pieces, 2)):
            place.copy_(_mixed_rows(part, k, v, after, before))
    out = out + bias.view(-1, 1, 1) * v.sum(2, keepdim=True)
    return out.transpose(1, 2).flatten(2)


def _mixed_rows(q: Tensor, k: Tensor, v: Tensor, after: Tensor, before: Optional[Tensor]) -> Tensor:
    maps = q @ k.transpose(-2, -1)
    if before is not None:
        maps = mix_heads(before, maps)
    return mix_heads(after, maps.softmax(-1)) @ v


class SpatialReductionAttention(nn.Module):
    """Every token of a map attends to the tokens of a smaller map: the spatial-reduction attention of PVT.

    A subclass with another way to the smaller map overrides `reduce`, one with another attention `attend`.

    Args:
        dim: Channels.
        num_heads: Heads, neighbouring channels each.
        ratio: Side, in tokens, of the squares that a convolution turns into one token. A remainder at the bottom or
            the right gives no keys. 1 leaves the map as it is.

    The norm of the smaller map has PyTorch's eps, 1e-5, in all papers at hand, whatever the block's.
    """

    def __init__(self, dim: int, num_heads: int, ratio: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim)
        if ratio > 1:
            self.sr = nn.Conv2d(dim, dim, ratio, ratio)
            self.norm = nn.LayerNorm(dim)
        self.ratio = ratio
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)

    def reduce(self, x: Tensor, *context) -> Tensor:
        """(B, H, W, C) -> the map (B, H', W', C) that keys and values are made of."""
        return self.norm(conv_map(self.sr, x)) if self.ratio > 1 else x

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries (B, H, W, C), keys and values (B, H', W', C) -> (B, H, W, C), before the last projection."""
        # each (B, heads, tokens, d)
        parts = (x.flatten(1, 2).unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in (q, k, v))
        return attention(*parts).view_as(q)

    def forward(self, x: Tensor, *context) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C); ``context`` is what `reduce` needs besides."""
        k, v = self.kv(self.reduce(x, *context)).chunk(2, dim=-1)
        return self.proj(self.attend(self.q(x), k, v))
