"""GG-Transformer (Yu et al., "Glance-and-Gaze Vision Transformer", NeurIPS 2021, arXiv 2106.02277).

New in it: the two functions of Swin's alternating blocks are two branches of one. Glance attends in windows of 7 x 7
tokens that are spread over the whole map, with a dilation that adapts to its size; Gaze, a depth-wise convolution of
the values, restores the neighbourhood that a dilated window skips.

The authors published neither code nor weights (yucornetto/GG-Transformer@d01e557 holds a README), so that this is a
reading of the paper. Settled, by the abstract and the published parameters and FLOPs: Swin's skeleton without shifts,
the dilated windows, one set of projections for both branches, attention plus depth-wise convolution of the values.
Recollected, not verified: all sizes are Swin's; the convolution has no norm and no activation, and its output is added
before the output projection; kernels of 9, 5, 3, 3, the smallest that bridge the dilations 8, 4, 2, 1 at 224.
Chosen here: relative position bias (``position_bias``), a bias on the convolution, windows that hold just the tokens
that exist where 7 does not divide the map (``mask_padding``), PyTorch's initialisation of the convolution.
"""
from typing import Optional, Sequence

from torch import Tensor, nn

from ..layers import (DepthwiseConv, Groups, Mlp, PatchEmbed, PatchMerging, PreNormBlock, RelativePositionBias,
                      conv_map, crop_bias, group_attention, group_tokens, pad_to_multiple, reorder)
from ..registry import MODELS
from .base import Backbone, Stage

WINDOW = (7, 7)


class GlanceGazeAttention(nn.Module):
    """Attention in dilated windows, plus a depth-wise convolution of the values (sections 3.2 and 3.3).

    Args:
        dim: Channels.
        num_heads: Heads.
        gaze_kernel: Side of the convolution's kernel in tokens, odd.
        position_bias: Learn a bias for each offset between two tokens of a window, counted in dilations.
        mask_padding: As in `GGTransformer`.
    """

    def __init__(self, dim: int, num_heads: int, gaze_kernel: int, position_bias: bool, mask_padding: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.mask_padding = mask_padding
        self.position = RelativePositionBias(WINDOW, num_heads) if position_bias else None
        self.qkv = nn.Linear(dim, 3 * dim)
        self.gaze = DepthwiseConv(dim, gaze_kernel)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, groups: Groups) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        H, W = x.shape[1:3]
        if not self.mask_padding:
            x, _, _ = pad_to_multiple(x, WINDOW)
        q, k, v = self.qkv(reorder(x.flatten(0, 2), groups.index, groups.inverse)).chunk(3, dim=-1)
        bias = [None] * len(groups.shapes)
        if self.position is not None:
            position = self.position()
            bias = [crop_bias(position, WINDOW, shape) for shape in groups.shapes]
        glance = group_attention(q, k, v, groups, self.num_heads, bias)
        glance, v = [reorder(part, groups.inverse, groups.index).view(x.shape)[:, :H, :W] for part in (glance, v)]
        return self.proj(glance + conv_map(self.gaze, v))


class GGStage(Stage):
    """Groups the tokens once for all blocks.

    Args:
        blocks, downsample, with_cp: As `Stage`.
        mask_padding: As in `GGTransformer`.
    """

    def __init__(self, blocks: Sequence[nn.Module], downsample: Optional[nn.Module], with_cp: bool,
                 mask_padding: bool) -> None:
        super().__init__(blocks, downsample, with_cp)
        self.mask_padding = mask_padding

    def context(self, x: Tensor) -> Sequence[tuple]:
        size = x.shape[:3]
        if not self.mask_padding:
            size = (size[0], *(-(-side // window) * window for side, window in zip(size[1:], WINDOW)))
        return [(group_tokens(size, WINDOW, True, x.device), )]


@MODELS.register_module()
class GGTransformer(Backbone):
    """GG-Transformer; arguments and contract in `Backbone`, and

    Args:
        gaze_kernels: Sides of the convolutions' kernels, odd, a value a stage. Part of the weights: they stay what
            they are at other image sizes, although dilations change. (3, 3, 3, 3) is the paper's other choice.
        position_bias: Relative position bias in the dilated windows; the paper's text on it is not at hand.
        mask_padding: Where 7 does not divide the map, windows hold the tokens that exist. False pads the map with
            zeros before the projections, as Swin does, and lets the padded tokens take part.
    """

    family = 'gg_transformer'
    # The paper's GG-T and GG-S; settings as recollected, parameters and FLOPs agree.
    archs = {
        'gg_tiny':  dict(dims=(96, 192, 384, 768), depths=(2, 2, 6, 2),  num_heads=(3, 6, 12, 24), mlp_ratio=4),
        'gg_small': dict(dims=(96, 192, 384, 768), depths=(2, 2, 18, 2), num_heads=(3, 6, 12, 24), mlp_ratio=4),
    }  # yapf: disable
    options = dict(gaze_kernels=(9, 5, 3, 3), position_bias=True, mask_padding=True)
    no_decay = ('relative_position_bias_table', )

    def build_patch_embed(self) -> nn.Module:
        stages = len(self.spec['depths'])
        self._check(
            len(self.gaze_kernels) == stages and all(k > 0 and k % 2 for k in self.gaze_kernels),
            f'gaze_kernels to be {stages} odd numbers', self.gaze_kernels)
        return PatchEmbed(self.in_channels, self.spec['dims'][0])

    def build_stage(self, i: int, drop_path: Sequence[float]) -> nn.Module:
        dims, heads, ratio = (self.spec[key] for key in ('dims', 'num_heads', 'mlp_ratio'))
        downsample = PatchMerging(dims[i - 1], dims[i]) if i else None
        blocks = []
        for rate in drop_path:
            attn = GlanceGazeAttention(dims[i], heads[i], self.gaze_kernels[i], self.position_bias, self.mask_padding)
            blocks.append(PreNormBlock(dims[i], attn, Mlp(dims[i], int(dims[i] * ratio)), rate))
        return GGStage(blocks, downsample, self.with_cp, self.mask_padding)
