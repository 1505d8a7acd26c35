"""Normalisation that PyTorch has no channels-last kernel for, or that a convolution can take over."""
from typing import Tuple

import torch
from torch import Tensor, nn

from .precision import widen


class GroupNorm1(nn.GroupNorm):
    """GroupNorm with one group: each sample is normalised over its whole map, (B, H, W, C) -> (B, H, W, C).

    PyTorch's kernels either copy the map to NCHW and back or add up a sample with a single thread block. What a pixel
    becomes depends on all others of its image, padding included.

    Args:
        dim: Channels.
        eps: Added to the variance.
    """

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__(1, dim, eps)

    def forward(self, x: Tensor) -> Tensor:
        centred = widen(x)
        centred = centred - centred.mean((1, 2, 3), keepdim=True)
        var = centred.square().mean((1, 2, 3), keepdim=True)
        return torch.addcmul(self.bias, centred, self.weight * (var + self.eps).rsqrt()).to(x.dtype)


def fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Tuple[Tensor, Tensor]:
    """Weight and bias of the convolution that is ``conv``, then ``norm`` with the statistics that it has."""
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    bias = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
    return conv.weight * scale[:, None, None, None], torch.addcmul(norm.bias, bias, scale)
