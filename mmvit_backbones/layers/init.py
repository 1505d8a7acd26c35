"""Random initialisations that PyTorch does not have."""
from torch import nn


def init_conv_fan_out(conv: nn.Conv2d) -> None:
    """Normal weights of variance 2 / fan-out, fan-out counted within a group, and zero biases.

    PyTorch's ``kaiming_normal_(mode='fan_out')`` counts the outputs of all groups: in a depth-wise convolution its
    weights are smaller by the square root of the number of channels.
    """
    fan_out = conv.kernel_size[0] * conv.kernel_size[1] * conv.out_channels // conv.groups
    nn.init.normal_(conv.weight, std=(2 / fan_out)**.5)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
