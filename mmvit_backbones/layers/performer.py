"""Attention whose cost is linear in the number of tokens (Performer, Choromanski et al., ICLR 2021, arXiv 2009.14794)."""
import torch
from torch import Tensor, nn

from .precision import no_autocast, widen


def random_directions(count: int, dim: int) -> Tensor:
    """Orthogonal directions of length sqrt(count) for `random_feature_attention`, (count, dim); count <= dim."""
    return nn.init.orthogonal_(torch.empty(count, dim)) * count**.5


def random_feature_attention(q: Tensor, k: Tensor, v: Tensor, w: Tensor) -> Tensor:
    """Attention with the positive random features exp(w x - |x|^2 / 2), in float32 under autocast.

    The 1e-8 of the denominator is part of the function: where all features are tiny the result is too.

    Args:
        q, k: Queries and keys, (B, N, d).
        v: Values, (B, N, d_v).
        w: Directions, (features, d).

    Returns:
        (B, N, d_v), in the dtype of ``v``.
    """
    with no_autocast(v):
        w = widen(w).t()
        q, k = ((x @ w - x.square().sum(-1, keepdim=True) / 2).exp() / w.shape[1]**.5 for x in (widen(q), widen(k)))
        out = q @ (k.transpose(1, 2) @ widen(v)) / (q @ k.sum(1).unsqueeze(-1) + 1e-8)
    return out.to(v.dtype)
