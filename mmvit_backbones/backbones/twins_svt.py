"""Twins-SVT, "ALTGVT" in its code (Chu et al., NeurIPS 2021, arXiv 2104.13840).

New in it: spatially separable attention. Blocks take turns: attention within windows (LSA), then of all tokens to a
reduced map (GSA, which is PVT's).

Facts from Meituan-AutoML/Twins@c1ff671 (Apache-2.0), its detection and segmentation backbones. These differ in the
padding of windows, which is an option here; nothing else differs in the mathematics. Both put a LayerNorm after every
stage, in the trunk, that the classification model and its checkpoints do not have: published detectors and segmentors
were trained so.
"""
from typing import Optional, Sequence

from torch import Tensor, nn

from ..layers import (ConvEmbed, Mlp, PreNormBlock, SpatialReductionAttention, attention, init_conv_fan_out,
                      merge_windows, pad_to_multiple, split_windows)
from ..registry import MODELS
from .base import Backbone
from .twins_pcpvt import ConditionalStage

BLOCK_EPS = 1e-6
"""Of the LayerNorms in blocks and after stages. Those of patch embeddings and reductions have 1e-5."""


class LocallyGroupedAttention(nn.Module):
    """Softmax attention within windows, without any positional term.

    Maps are padded with zeros at the bottom and the right. The projection comes after that, so keys and values of the
    padding are its bias.

    Args:
        dim: Channels.
        num_heads: Heads.
        window: Side of a window in tokens.
        padding: 'pad' or 'mask', as for `TwinsSVT`.
    """

    def __init__(self, dim: int, num_heads: int, window: int, padding: str) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window = (window, window)
        self.padding = padding
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        H, W = x.shape[1:3]
        padded = pad_to_multiple(x, self.window)[0]
        # (windows, tokens, 3, heads, d) -> (3, windows, heads, tokens, d)
        qkv = self.qkv(split_windows(padded, self.window)).flatten(1, 2).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind()
        out = attention(q, k, v, self.real_keys(x)).unflatten(1, self.window)
        return self.proj(merge_windows(out, padded.shape[1:3])[:, :H, :W])

    def real_keys(self, x: Tensor) -> Optional[Tensor]:
        """False at the keys that 'mask' leaves out, (windows, 1, 1, tokens); None where it leaves out none.

        The authors mark the padding as the last ``n`` rows and columns, with slices that are the whole map for n = 0:
        where one side needs no padding, nothing is masked.
        """
        B, H, W, _ = x.shape
        if self.padding == 'pad' or H % self.window[0] == 0 or W % self.window[1] == 0:
            return None
        real = pad_to_multiple(x.new_ones(1, H, W, 1), self.window)[0]
        return split_windows(real, self.window).flatten(1).bool()[:, None, None].repeat(B, 1, 1, 1)


@MODELS.register_module()
class TwinsSVT(Backbone):
    """Twins-SVT; arguments and contract in `Backbone`, and one of its own. Its norms are new in dense models.

    Args:
        padding: What fills windows up. 'pad', as in the authors' detection code: tokens like others, to which all
            attend. 'mask', as in their segmentation code: tokens to which none attends, but only in maps of which
            both sides need padding; where one side is a multiple of the window, it is 'pad'.
    """

    family = 'twins_svt'
    # From the authors' code; windows of 7x7 tokens in all of them.
    archs = {
        name: dict(dims=tuple(dim * 2**i for i in range(4)), depths=depths, num_heads=heads, mlp_ratio=4,
                   sr_ratios=(8, 4, 2, 1), window=7)
        for name, dim, depths, heads in (
            ('small',  64, (2, 2, 10, 4), (2, 4, 8, 16)),
            ('base',   96, (2, 2, 18, 2), (3, 6, 12, 24)),
            ('large', 128, (2, 2, 18, 2), (4, 8, 16, 32)),
        )
    }  # yapf: disable
    norms = 'trunk'
    options = dict(padding='pad')
    no_decay = ('.peg.', )

    def build_patch_embed(self) -> nn.Module:
        self._check(self.padding in ('pad', 'mask'), "padding to be 'pad' or 'mask'", self.padding)
        return ConvEmbed(self.in_channels, self.spec['dims'][0], 4, stride=4, padding=0)

    def build_stage(self, i: int, drop_path: Sequence[float]) -> nn.Module:
        spec, dim, num_heads = self.spec, self.spec['dims'][i], self.spec['num_heads'][i]
        downsample = ConvEmbed(spec['dims'][i - 1], dim, 2, stride=2, padding=0) if i else None
        blocks = []
        for j, rate in enumerate(drop_path):
            if j % 2 == 0:
                attn = LocallyGroupedAttention(dim, num_heads, spec['window'], self.padding)
            else:
                attn = SpatialReductionAttention(dim, num_heads, spec['sr_ratios'][i])
            blocks.append(PreNormBlock(dim, attn, Mlp(dim, int(dim * spec['mlp_ratio'])), rate, BLOCK_EPS))
        return ConditionalStage(dim, blocks, downsample, self.with_cp)

    def build_norm(self, i: int) -> nn.Module:
        return nn.LayerNorm(self.spec['dims'][i], eps=BLOCK_EPS)

    def init_module(self, module: nn.Module) -> None:
        super().init_module(module)
        if isinstance(module, nn.Conv2d):
            init_conv_fan_out(module)

    rename = (
        (r'^head\.', None),
        (r'^patch_embeds\.0\.', 'patch_embed.'),
        (r'^patch_embeds\.(\d)\.', r'stages.\1.downsample.'),
        (r'^blocks\.(\d)\.', r'stages.\1.blocks.'),
        (r'^pos_block\.(\d)\.proj\.0\.', r'stages.\1.peg.proj.'),
        (r'^norm_list\.(\d)\.', r'norm\1.'),
    )
    other_layouts = {
        "OpenMMLab's": (
            (r'^patch_embeds\.(\d)\.projection\.', r'patch_embeds.\1.proj.'),
            (r'^patch_embeds\.0\.', 'patch_embed.'),
            (r'^patch_embeds\.(\d)\.', r'stages.\1.downsample.'),
            (r'^(layers|stages)\.(\d)\.(\d+)\.', r'stages.\2.blocks.\3.'),
            (r'^position_encodings\.(\d)\.', r'stages.\1.peg.'),
            (r'^norm_(list\.|after_stage)(\d)\.', r'norm\2.'),
            (r'\.attn\.attn\.(q|kv)\.', r'.attn.\1.'),
            (r'\.attn\.attn\.out_proj\.', '.attn.proj.'),
            (r'\.ffn\.layers\.0\.0\.', '.mlp.fc1.'),
            (r'\.ffn\.layers\.1\.', '.mlp.fc2.'),
        )
    }
