"""The package's one door to ``scaled_dot_product_attention``."""
from typing import Optional

import torch.nn.functional as F
from torch import Tensor


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
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=scale)
    return out.transpose(1, 2).flatten(2)
