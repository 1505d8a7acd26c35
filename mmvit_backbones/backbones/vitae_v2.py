"""ViTAEv2 (Zhang et al., "ViTAEv2: Vision Transformer Advanced by Exploring Inductive Bias for Image Recognition and
Beyond", IJCV 2023, arXiv 2202.10108).

New in it, against ViTAE: four stages, and windows in the first two. The cells are ViTAE's.

Facts from ViTAE-Transformer/ViTAE-Transformer@aebf1d7: its detection backbone (Clear BSD), which computes what that for
segmentation does, and its classifier (no licence), whose trunk they have; nothing differs in the mathematics. They take
multiples of 32. Here images are zero-padded at the bottom and the right to multiples of 4, and the sizes of the other
maps are what convolutions make of them, which is the same function there. Left out: the dropout of B's classifier.
"""
from typing import List, Optional, Sequence

from torch import Tensor, nn

from ..layers import Mlp, attention, merge_windows, pad_to_multiple, split_windows
from ..registry import MODELS
from .base import Backbone, Stage
from .vitae import DilatedConvs, NormalCell, ParallelConvs, ReductionCell

DILATIONS = ((1, 2, 3, 4), (1, 2, 3), (1, 2), (1, 2))
"""Of the convolutions that lead to each stage."""
NORMS = (True, True, False)
"""Behind which of the convolutions beside the attention batch norms stand."""


class CellAttention(nn.Module):
    """Softmax attention without any positional term, in windows or of all tokens to all.

    Maps are padded with zeros, in the centre. The projection comes after that, so padded tokens take part in the
    softmax with its bias: published weights were trained so.

    Args:
        in_dim: Channels of the input.
        dim: Channels of the result.
        num_heads: Heads.
        window: Side of a window in tokens; None for attention over the whole map.
        qkv_bias: Whether queries, keys and values have a bias.
    """

    def __init__(self, in_dim: int, dim: int, num_heads: int, window: Optional[int], qkv_bias: bool = True) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window = window
        self.qkv = nn.Linear(in_dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, in_dim) -> (B, H, W, dim)"""
        H, W = x.shape[1:3]
        window = (self.window or H, self.window or W)
        x, top, left = pad_to_multiple(x, window, place='centre')
        qkv = self.qkv(split_windows(x, window).flatten(1, 2))
        out = merge_windows(self.attend(*qkv.chunk(3, dim=-1)).unflatten(1, window), x.shape[1:3])
        return out[:, top:top + H, left:left + W]

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Tokens of windows, (windows, tokens, dim) -> (windows, tokens, dim)"""
        # each (windows, heads, tokens, d)
        parts = (x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in (q, k, v))
        return self.proj(attention(*parts))


class ValueAttention(CellAttention):
    """The attention of reduction cells without windows: its residual starts from the values, which have no bias."""

    def __init__(self, in_dim: int, dim: int, num_heads: int) -> None:
        super().__init__(in_dim, dim, num_heads, None, qkv_bias=False)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return v + super().attend(q, k, v)


@MODELS.register_module()
class ViTAEv2(Backbone):
    """ViTAEv2; arguments and contract in `Backbone`. The authors' levels are not normalised, so there are no norms.

    As in the authors' code, the rates of stochastic depth of a stage start at the depth of the stage before it, not of
    all before it: those of the last two stages are lower, and no block has ``drop_path_rate`` itself.
    """

    family = 'vitae_v2'
    # The authors' code.
    archs = {
        name: dict(dims=dims, depths=depths, num_heads=heads, groups=(1, 32, 64, 128), reduction_dims=widths,
                   reduction_heads=reduction_heads, reduction_groups=(1, 16, 32, 64), windows=(7, 7, None, None),
                   mlp_ratio=4)
        for name, dims, depths, heads, widths, reduction_heads in (
            ('vitaev2_s',   (64, 128, 256, 512),   (2, 2, 8, 2),  (1, 2, 4, 8),  (64, 64, 128, 256), (1, 1, 2, 4)),
            ('vitaev2_48m', (96, 192, 384, 768),   (2, 2, 11, 2), (1, 2, 4, 8),  (64, 64, 192, 384), (1, 1, 2, 4)),
            ('vitaev2_b',   (128, 256, 512, 1024), (2, 2, 12, 2), (1, 4, 8, 16), (96, 96, 256, 512), (1, 1, 4, 8)),
        )
    }  # yapf: disable
    norms = pooled_norms = None
    new_keys = pooled_keys = ()

    def build_patch_embed(self) -> nn.Module:
        return self.build_reduction(0)

    def build_reduction(self, i: int) -> nn.Module:
        """The step down to stage i."""
        dim, width, heads, groups, window = (
            self.spec[key][i] for key in ('dims', 'reduction_dims', 'reduction_heads', 'reduction_groups', 'windows'))
        in_dim, kernel_size, stride = (self.spec['dims'][i - 1], 3, 2) if i else (self.in_channels, 7, 4)
        scales = DilatedConvs(in_dim, width, kernel_size, stride, DILATIONS[i])
        attn = CellAttention(scales.dim, dim, heads, window) if window else ValueAttention(scales.dim, dim, heads)
        convs = ParallelConvs((in_dim, width, width, dim), groups, NORMS, False, (2, stride // 2, 1))
        return ReductionCell(dim, scales, attn, convs, Mlp(dim, dim))

    def build_stage(self, i: int, drop_path: Sequence[float]) -> nn.Module:
        dim, heads, groups, window = (self.spec[key][i] for key in ('dims', 'num_heads', 'groups', 'windows'))
        hidden_dim = int(dim * self.spec['mlp_ratio'])
        blocks = [
            NormalCell(dim, CellAttention(dim, dim, heads, window),
                       ParallelConvs((dim, hidden_dim, dim, dim), groups, NORMS, False), Mlp(dim, hidden_dim), rate)
            for rate in drop_path
        ]
        return Stage(blocks, self.build_reduction(i) if i else None, self.with_cp)

    def drop_path_rates(self, rate: float) -> List[List[float]]:
        rates = sum(super().drop_path_rates(rate), [])
        depths = self.spec['depths']
        return [rates[start:start + depth] for start, depth in zip((0, *depths), depths)]

    rename = (
        (r'^head\.', None),
        (r'\.relative_position_index$', None),  # no bias goes with it
        (r'^layers\.0\.RC\.', 'patch_embed.'),
        (r'^layers\.(\d)\.RC\.', r'stages.\1.downsample.'),
        (r'^(patch_embed|stages\.\d\.downsample)\.attn\.', r'\1.'),
        (r'^layers\.(\d)\.NC\.', r'stages.\1.blocks.'),
        (r'\.PRM\.convs\.(\d)\.0\.', r'.scales.\1.'),
        (r'\.PCM\.', '.convs.'),
    )
