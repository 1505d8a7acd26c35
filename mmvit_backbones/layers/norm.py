"""Normalisation that PyTorch has no channels-last kernel for, or that a convolution can take over."""
from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

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


def fold(conv: nn.Conv2d, norm: nn.Module) -> Tuple[Tensor, Optional[Tensor]]:
    """Weight and bias of the convolution that is ``conv``, then the batch norm ``norm`` with the statistics that it has.

    Those of ``conv`` where there is no batch norm any more (mmcv's ``fuse_conv_bn``).
    """
    if not isinstance(norm, _BatchNorm):
        return conv.weight, conv.bias
    scale = widen(norm.weight) * (widen(norm.running_var) + norm.eps).rsqrt()
    bias = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
    weight, bias = conv.weight * scale[:, None, None, None], torch.addcmul(widen(norm.bias), bias, scale)
    return weight.to(conv.weight.dtype), bias.to(conv.weight.dtype)


def can_fold(norm: nn.Module, x: Tensor) -> bool:
    """Whether a batch norm takes the statistics that it has, and x is there: where arithmetic is counted, norms are too."""
    return not (norm.training or x.is_meta)


def normed_conv(conv: nn.Conv2d, norm: nn.Module, x: Tensor) -> Tensor:
    """norm(conv(x)), (B, C, H, W); where the norm takes the statistics that it has, both are one convolution."""
    if not can_fold(norm, x):
        return norm(conv(x))
    return F.conv2d(x, *fold(conv, norm), conv.stride, conv.padding, conv.dilation, conv.groups)
