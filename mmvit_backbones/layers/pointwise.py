"""1x1 convolutions as the linear maps that they are."""
import torch.nn.functional as F
from torch import Tensor, nn


class Pointwise(nn.Conv2d):
    """A 1x1 convolution, its weight in the shape that published files have, on the last axis of a tensor.

    Args:
        in_dim: Channels of the input.
        dim: Channels of the output.
        bias: Whether it has one.
    """

    def __init__(self, in_dim: int, dim: int, bias: bool = True) -> None:
        super().__init__(in_dim, dim, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.flatten(1), self.bias)
