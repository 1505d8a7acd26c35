"""Depth-wise convolutions with large kernels."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .eager import runs_on_cpu
from .precision import widen


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


def depthwise_conv(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """What a `DepthwiseConv` does, with kernels (C, 1, k, k) and a bias (C) from elsewhere.

    For kernels beyond 3 x 3, the gradient of the weights that PyTorch computes on CPUs takes up to 30 times the time of
    this one: a depth-wise convolution too, of the map, with the result's gradient as the kernel.
    """
    if weight.shape[-1] > 3 and weight.requires_grad and torch.is_grad_enabled() and runs_on_cpu(x):
        return _DepthwiseConv.apply(x, weight, bias)
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=len(weight))


class _DepthwiseConv(torch.autograd.Function):

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
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
        return grad_x, grad_weight.transpose(0, 1), widen(grad).sum((0, 2, 3))
