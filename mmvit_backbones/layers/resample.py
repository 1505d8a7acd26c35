"""Maps brought to another resolution."""
import torch.nn.functional as F
from torch import Tensor, nn

from .patch import conv_map


class Upsample(nn.ConvTranspose2d):
    """Every position of a map becomes 2 x 2: a transposed convolution without overlap, as the linear map that it is.

    (B, H, W, in_dim) -> (B, 2 H, 2 W, dim)

    Args:
        in_dim: Channels of the input.
        dim: Channels of the output.
    """

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__(in_dim, dim, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        # rows of the weight: (row, column, channel) of the 2 x 2
        weight = self.weight.permute(2, 3, 1, 0).flatten(0, 2)
        x = F.linear(x, weight, self.bias.repeat(4)).unflatten(-1, (2, 2, -1))
        return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)


class MaxPool(nn.Module):
    """Halves a map: the largest of each 2 x 2 values, (B, H, W, C) -> (B, ceil(H / 2), ceil(W / 2), C)."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        return conv_map(self.pool, x)
