"""What two families share. Maps are ``(B, H, W, C)`` tensors."""
from .attention import attention
from .drop import DropPath, drop_path_rates
from .mlp import Mlp
from .patch import ConvEmbed, conv_map
from .position import RelativePositionBias
from .windows import merge_windows, pad_to_multiple, split_windows

__all__ = [
    'attention', 'conv_map', 'ConvEmbed', 'DropPath', 'drop_path_rates', 'merge_windows', 'Mlp', 'pad_to_multiple', 'RelativePositionBias', 'split_windows'
]
