"""Maps brought to another resolution."""
import torch.nn.functional as F
from torch import Tensor, nn

from .patch import conv_map


class Upsample(nn.ConvTranspose2d):
    """Every position of a map becomes s x s: a transposed convolution without overlap, as the linear map that it is.

    (B, H, W, in_dim) -> (B, s * H, s * W, dim)

    Args:
        in_dim: Channels of the input.
        dim: Channels of the output.
        scale: Factor s.
        bias: Whether it has one.
    """

    def __init__(self, in_dim: int, dim: int, scale: int = 2, bias: bool = True) -> None:
        super().__init__(in_dim, dim, scale, stride=scale, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        scale = self.stride[0]
        # rows of the weight: (row, column, channel) of the s x s
        weight = self.weight.permute(2, 3, 1, 0).flatten(0, 2)
        bias = None if self.bias is None else self.bias.repeat(scale**2)
        x = F.linear(x, weight, bias).unflatten(-1, (scale, scale, -1))
        return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)


class MaxPool(nn.Module):
    """Halves a map: the largest of each 2 x 2 values, (B, H, W, C) -> (B, ceil(H / 2), ceil(W / 2), C)."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        return conv_map(self.pool, x)
