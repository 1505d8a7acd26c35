"""Stems and the steps down between stages."""
import torch
from torch import Tensor, nn


class ConvEmbed(nn.Module):
    """A convolution and a LayerNorm over the channels: the stem of a network, or the step between two stages.

    Args:
        in_dim: Channels of the input.
        dim: Channels of the output.
        kernel_size, stride, padding: Of the convolution, in pixels.
        eps: Of the LayerNorm.

    The input is a map (B, H, W, in_dim), the output a map (B, H', W', dim). Seen as NCHW a map is channels-last, which
    is the layout that the convolution reads and writes: no transpose is paid.
    """

    def __init__(self, in_dim: int, dim: int, kernel_size: int, stride: int, padding: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_dim, dim, kernel_size, stride, padding)
        self.norm = nn.LayerNorm(dim, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(conv_map(self.proj, x))


def conv_map(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Applies an NCHW convolution to a map (B, H, W, C) and returns a map, channels-last throughout."""
    return conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
