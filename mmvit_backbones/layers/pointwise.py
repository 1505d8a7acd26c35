"""1x1 convolutions as the linear maps that they are."""
from typing import Optional

import torch.nn.functional as F
from torch import Tensor, nn

from .norm import can_fold, fold
from .patch import conv_map


class Pointwise(nn.Conv2d):
    """A 1x1 convolution, its weight in the shape that published files have, on the last axis of a tensor.

    Args:
        in_dim: Channels of the input.
        dim: Channels of the output.
        bias: Whether it has one.
    """

    def __init__(self, in_dim: int, dim: int, bias: bool = True) -> None:
        super().__init__(in_dim, dim, 1, bias=bias)

    def forward(self, x: Tensor, norm: Optional[nn.Module] = None) -> Tensor:
        """(..., in_dim) -> (..., dim), or a map behind a batch norm, too; both are one where that takes what statistics it has."""
        if norm is not None and not can_fold(norm, x):
            return conv_map(norm, self(x))
        weight, bias = (self.weight, self.bias) if norm is None else fold(self, norm)
        return F.linear(x, weight.flatten(1), bias)
