"""What two families share. Maps are ``(B, H, W, C)`` tensors."""
from .attention import SpatialReductionAttention, attention, mix_heads, mixed_attention
from .block import LayerScaleBlock, PreNormBlock
from .bottleneck import Bottleneck, NormedConvs, conv_norm
from .depthwise import DepthwiseConv, depthwise_conv, varying_conv
from .drop import DropPath, drop_path_rates
from .groups import Groups, crop_bias, group_attention, group_tokens, list_windows, reorder, sort_windows
from .init import init_conv_fan_out
from .mlp import ConvMlp, Mlp, NormedMlp, convolve_between
from .norm import GroupNorm1, can_fold, fold, normed_conv
from .patch import ConvEmbed, PatchEmbed, PatchMerging, conv_map, merge_neighbours
from .performer import normal_directions, random_directions, random_feature_attention, softmax_estimate
from .pointwise import Pointwise
from .position import (DecomposedPosition, PositionalEncodingGenerator, RelativePositionBias, relative_index,
                       resize_position)
from .precision import no_autocast, widen
from .resample import MaxPool, Upsample
from .shifted import ShiftedWindowAttention, shifted_windows
from .windows import merge_windows, pad_to_multiple, split_windows

__all__ = [
    'attention', 'Bottleneck', 'can_fold', 'conv_map', 'conv_norm', 'ConvEmbed', 'ConvMlp', 'convolve_between',
    'crop_bias', 'DecomposedPosition', 'depthwise_conv', 'DepthwiseConv', 'drop_path_rates', 'DropPath', 'fold',
    'group_attention', 'group_tokens', 'GroupNorm1', 'Groups', 'init_conv_fan_out', 'LayerScaleBlock', 'list_windows',
    'MaxPool', 'merge_neighbours', 'merge_windows', 'mix_heads', 'mixed_attention', 'Mlp', 'no_autocast',
    'normal_directions', 'normed_conv', 'NormedConvs', 'NormedMlp', 'pad_to_multiple', 'PatchEmbed', 'PatchMerging',
    'Pointwise', 'PositionalEncodingGenerator', 'PreNormBlock', 'random_directions', 'random_feature_attention',
    'relative_index', 'RelativePositionBias', 'reorder', 'resize_position', 'shifted_windows',
    'ShiftedWindowAttention', 'softmax_estimate', 'sort_windows', 'SpatialReductionAttention', 'split_windows',
    'Upsample', 'varying_conv', 'widen'
]
