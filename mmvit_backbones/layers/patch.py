"""Stems and the steps down between stages."""
from torch import Tensor, nn

from .windows import pad_to_multiple


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


class PatchEmbed(ConvEmbed):
    """4 x 4 patches of the image, zero-padded at the bottom and the right, and a LayerNorm (Swin, section 3.1).

    Args:
        in_dim: Channels of the image.
        dim: Channels of the output.
    """

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__(in_dim, dim, 4, stride=4, padding=0)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(pad_to_multiple(x, (4, 4))[0])


class PatchMerging(nn.Module):
    """2 x 2 neighbours side by side (odd sides zero-padded), LayerNorm, Linear (Swin, section 3.1).

    Args:
        in_dim: Channels of the input.
        dim: Channels of the output.
    """

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * in_dim)
        self.reduction = nn.Linear(4 * in_dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.reduction(self.norm(merge_neighbours(x)))


def merge_neighbours(x: Tensor) -> Tensor:
    """(B, H, W, C), odd sides zero-padded -> (B, H / 2, W / 2, 4 * C), 2 x 2 neighbours side by side."""
    x, _, _ = pad_to_multiple(x, (2, 2))
    # (B, H / 2, 2, W / 2, 2, C) -> (B, H / 2, W / 2, 4 * C), the column of a neighbour outermost
    return x.unflatten(1, (-1, 2)).unflatten(3, (-1, 2)).permute(0, 1, 3, 4, 2, 5).flatten(3)
