"""Swin Transformer (Liu et al., ICCV 2021, arXiv 2103.14030).

New in it: attention in windows that do not overlap, which every second block shifts by half a window, so that
neighbours meet; and a learned bias for each offset between two tokens of a window.

Facts from SwinTransformer/Swin-Transformer-Object-Detection@c7b2011 (MIT, Microsoft's file), the dense code, and from
microsoft/Swin-Transformer@f82860b, the classifier. The former shifts in the last stage too, where a single window may
cover the map; the latter does not. Left out: absolute position embedding, which no published model has.
"""
from typing import Optional, Sequence

from torch import Tensor, nn

from ..layers import (Mlp, PatchEmbed, PatchMerging, PreNormBlock, RelativePositionBias, ShiftedWindowAttention,
                      shifted_windows)
from ..registry import MODELS
from .base import Backbone, Stage


class SwinStage(Stage):
    """Lays the windows out once for all blocks; every second block has them shifted.

    Args:
        blocks, downsample, with_cp: As `Stage`.
        window: Side of a window in tokens.
        shift_always: Also where a window covers the height or the width of the map.
    """

    def __init__(self, blocks: Sequence[nn.Module], downsample: Optional[nn.Module], with_cp: bool, window: int,
                 shift_always: bool) -> None:
        super().__init__(blocks, downsample, with_cp)
        self.window = window
        self.shift_always = shift_always

    def context(self, x: Tensor) -> Sequence[tuple]:
        size = (len(x), *(-(-side // self.window) * self.window for side in x.shape[1:3]))  # padded
        shift = self.window // 2 if self.shift_always or min(x.shape[1:3]) > self.window else 0
        shifts = (0, shift)[:len(self.blocks)]
        return [shifted_windows(size, self.window, shift, x.device) for shift in shifts]


@MODELS.register_module()
class SwinTransformer(Backbone):
    """Swin Transformer; arguments and contract in `Backbone`.

    Weights for windows of another size fit: their tables of position biases are interpolated. Weights of MoBY and
    SimMIM load too.
    """

    family = 'swin'
    # Section 3.3 of the paper; the C24 model (24 channels a head) is in the authors' repository only.
    archs = {
        name: dict(dims=tuple(C * 2**i for i in range(4)), depths=depths, num_heads=heads, window=window, mlp_ratio=4)
        for name, C, depths, heads, window in (
            ('tiny',                 96, (2, 2, 6, 2),  (3, 6, 12, 24),  7),
            ('small',                96, (2, 2, 18, 2), (3, 6, 12, 24),  7),
            ('base',                128, (2, 2, 18, 2), (4, 8, 16, 32),  7),
            ('base_window12_384',   128, (2, 2, 18, 2), (4, 8, 16, 32),  12),
            ('large',               192, (2, 2, 18, 2), (6, 12, 24, 48), 7),
            ('large_window12_384',  192, (2, 2, 18, 2), (6, 12, 24, 48), 12),
            ('tiny_c24_window8_256', 96, (2, 2, 6, 2),  (4, 8, 16, 32),  8),
        )
    }  # yapf: disable
    no_decay = ('relative_position_bias_table', )

    def build_patch_embed(self) -> nn.Module:
        return PatchEmbed(self.in_channels, self.spec['dims'][0])

    def build_stage(self, i: int, drop_path: Sequence[float]) -> nn.Module:
        dims, heads, window = (self.spec[key] for key in ('dims', 'num_heads', 'window'))
        downsample = PatchMerging(dims[i - 1], dims[i]) if i else None
        blocks = []
        for rate in drop_path:
            attn = ShiftedWindowAttention(dims[i], heads[i], RelativePositionBias((window, window), heads[i]))
            blocks.append(self.build_block(i, attn, rate))
        return SwinStage(blocks, downsample, self.with_cp, window, shift_always=self.out_type == 'featmap')

    def build_block(self, i: int, attn: nn.Module, drop_path: float) -> nn.Module:
        """A block of stage i around its attention."""
        dim = self.spec['dims'][i]
        return PreNormBlock(dim, attn, Mlp(dim, int(dim * self.spec['mlp_ratio'])), drop_path)

    rename = (
        (r'^layers\.(\d)\.downsample\.', lambda match: f'stages.{int(match[1]) + 1}.downsample.'),
        (r'^layers\.', 'stages.'),
        (r'\.(attn_mask|relative_position_index)$', None),
        (r'\.relative_position_bias_table$', '.position.relative_position_bias_table'),
        (r'^mask_token$', None),  # SimMIM's, as recollected
        (r'^head\.', None),
    )
    other_layouts = {
        "OpenMMLab's": (
            (r'^stages\.(\d)\.downsample\.', lambda match: f'stages.{int(match[1]) + 1}.downsample.'),
            (r'^patch_embed\.projection\.', 'patch_embed.proj.'),
            (r'\.relative_position_index$', None),
            (r'\.attn\.w_msa\.(relative_position_bias_table)$', r'.attn.position.\1'),
            (r'\.attn\.w_msa\.', '.attn.'),
            (r'\.ffn\.layers\.0\.0\.', '.mlp.fc1.'),
            (r'\.ffn\.layers\.1\.', '.mlp.fc2.'),
        ),
        "timm's": (
            (r'^layers\.', 'stages.'),
            (r'\.(attn_mask|relative_position_index)$', None),
            (r'\.relative_position_bias_table$', '.position.relative_position_bias_table'),
            (r'^head\.', None),
        ),
    }
