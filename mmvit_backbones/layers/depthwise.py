"""Depth-wise convolutions with large kernels, and with kernels that differ from position to position."""
from typing import Iterator, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .eager import is_compiling, runs_on_cpu
from .precision import widen

PIECE = 1 << 19
"""Values of a map that are computed at once on CPUs where kernels vary."""


class DepthwiseConv(nn.Conv2d):
    """A depth-wise convolution that keeps the size, (B, C, H, W) -> (B, C, H, W).

    Args:
        dim: Channels.
        kernel_size: Side of the kernel, odd.
    """

    def __init__(self, dim: int, kernel_size: int) -> None:
        super().__init__(dim, dim, kernel_size, padding=kernel_size // 2, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        return depthwise_conv(x, self.weight, self.bias)


def depthwise_conv(x: Tensor, weight: Tensor, bias: Optional[Tensor] = None) -> Tensor:
    """What a `DepthwiseConv` does, with kernels (C, 1, k, k) and a bias (C) from elsewhere, or without a bias.

    For kernels beyond 3 x 3, the gradient of the weights that PyTorch computes on CPUs takes up to 30 times the time of
    this one: a depth-wise convolution too, of the map, with the result's gradient as the kernel.
    """
    if weight.shape[-1] > 3 and weight.requires_grad and torch.is_grad_enabled() and runs_on_cpu(x):
        return _DepthwiseConv.apply(x, weight, bias)
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=len(weight))


def varying_conv(x: Tensor, kernels: Tensor) -> Tensor:
    """A depth-wise convolution whose kernels differ from position to position; beyond the map there are zeros.

    It is summed up tap by tap, in float32 where the arguments have less: nothing is unfolded, and for the backward pass
    only the arguments are kept.

    Args:
        x: Map, (B, H, W, *), its channels on one axis or more.
        kernels: (k * k, B, H, W, *), the taps in row-major order. What channels have in common is an axis of 1.

    Returns:
        Map of the shape of x.
    """
    if is_compiling() or torch.jit.is_tracing():
        return _by_rows(x, kernels)
    if torch.is_grad_enabled() and (x.requires_grad or kernels.requires_grad):
        return _VaryingConv.apply(x, kernels)
    H, padded = x.shape[1], _pad(x, kernels)
    rows = max(PIECE // x[:, 0].numel(), 1) if x.is_cpu else H
    out = widen(x).new_zeros(x.shape)
    for start in range(0, H, rows):
        piece = out[:, start:start + rows]
        for kernel, neighbour in _taps(kernels[:, :, start:start + rows], padded[:, start:], piece):
            piece.addcmul_(kernel, neighbour)
    return out.to(x.dtype)


def _by_rows(x: Tensor, kernels: Tensor) -> Tensor:
    """The same in few operators, for programs that are made of them: one row of taps at a time."""
    H, W, *channels = x.shape[1:]
    side, n = round(len(kernels)**.5), len(channels)
    padded = _pad(x, kernels).flatten(3).permute(0, 3, 1, 2)
    out = 0
    for row, kernel in enumerate(kernels.unflatten(0, (side, side)).unbind()):
        near = F.unfold(padded[:, :, row:row + H], (1, side))  # (B, C * side, H * W)
        near = near.unflatten(1, (*channels, side)).unflatten(-1, (H, W))
        near = near.permute(n + 1, 0, n + 2, n + 3, *range(1, n + 1))  # (side, B, H, W, *)
        out = out + (widen(kernel) * near).sum(0)
    return out.to(x.dtype)


def _pad(x: Tensor, kernels: Tensor) -> Tensor:
    border = round(len(kernels)**.5) // 2
    return F.pad(x, (0, 0) * (x.dim() - 3) + (border, ) * 4)


def _taps(kernels: Tensor, padded: Tensor, x: Tensor) -> Iterator[Tuple[Tensor, Tensor]]:
    """Each tap's weights, and what they are for: the map, shifted."""
    side = round(len(kernels)**.5)
    for tap, kernel in enumerate(kernels.unbind()):
        row, column = divmod(tap, side)
        yield kernel, padded[:, row:row + x.shape[1], column:column + x.shape[2]]


class _VaryingConv(torch.autograd.Function):

    @staticmethod
    def forward(ctx, x: Tensor, kernels: Tensor) -> Tensor:
        ctx.save_for_backward(x, kernels)
        return varying_conv(x, kernels)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        x, kernels = ctx.saved_tensors
        padded, grad = _pad(x, kernels), widen(grad)
        grad_padded = torch.zeros_like(padded, dtype=grad.dtype)
        grad_kernels = torch.empty_like(kernels)
        places = zip(_taps(kernels, padded, x), _taps(grad_kernels, grad_padded, x))
        for (kernel, neighbour), (grad_kernel, grad_neighbour) in places:
            grad_neighbour.addcmul_(kernel, grad)
            grad_kernel.copy_((grad * neighbour).sum_to_size(kernel.shape))
        border = (len(padded[0]) - x.shape[1]) // 2
        grad_x = grad_padded[:, border:border + x.shape[1], border:border + x.shape[2]]
        return grad_x.to(x.dtype), grad_kernels


class _DepthwiseConv(torch.autograd.Function):

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=len(weight))

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, weight = ctx.saved_tensors
        settings = dict(padding=weight.shape[-1] // 2, groups=len(weight))
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = nn.grad.conv2d_input(x.shape, weight.to(grad.dtype), grad, **settings)
        images = zip(widen(x), widen(grad))
        grad_weight = sum(F.conv2d(image[None], kernel[:, None], **settings) for image, kernel in images)
        grad_bias = widen(grad).sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
        return grad_x, grad_weight.transpose(0, 1), grad_bias
