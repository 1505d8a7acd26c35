"""Twins-PCPVT (Chu et al., NeurIPS 2021, arXiv 2104.13840).

New in it: PVT with a conditional positional encoding (the generator of CPVT, arXiv 2102.10882) after the first block
of every stage, in place of the position tables.

Facts from Meituan-AutoML/Twins@c1ff671 (Apache-2.0), its detection and segmentation backbones, which compute the same;
nothing differs in the mathematics. Their classifier's norm and head, held and never used, are left out.
"""
from typing import Optional, Sequence

from torch import Tensor, nn

from ..layers import (ConvEmbed, Mlp, PositionalEncodingGenerator, PreNormBlock, SpatialReductionAttention,
                      init_conv_fan_out)
from ..registry import MODELS
from .base import Backbone, Stage

BLOCK_EPS = 1e-6
"""Of the LayerNorms in blocks. Those of patch embeddings and reductions have 1e-5."""


class ConditionalStage(Stage):
    """A stage with a positional encoding generator after its first block.

    Args:
        dim: Channels.
        blocks, downsample, with_cp: As for `Stage`.
    """

    def __init__(self, dim: int, blocks: Sequence[nn.Module], downsample: Optional[nn.Module], with_cp: bool) -> None:
        super().__init__(blocks, downsample, with_cp)
        self.peg = PositionalEncodingGenerator(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = self.downsample(x)
        for j, block in enumerate(self.blocks):
            x = self.run(block, x)
            if j == 0:
                x = self.peg(x)
        return x


@MODELS.register_module()
class TwinsPCPVT(Backbone):
    """Twins-PCPVT; arguments and contract in `Backbone`. Its levels are not normalised, as in the authors' code."""

    family = 'twins_pcpvt'
    # Table 9 of the paper, which has 3 blocks in the second stage of small and base; code and checkpoints have 4.
    archs = {
        name: dict(dims=(64, 128, 320, 512), depths=depths, num_heads=(1, 2, 5, 8), mlp_ratios=(8, 8, 4, 4),
                   sr_ratios=(8, 4, 2, 1))
        for name, depths in (
            ('small', (3, 4, 6, 3)),
            ('base',  (3, 4, 18, 3)),
            ('large', (3, 8, 27, 3)),
        )
    }  # yapf: disable
    norms = None
    new_keys = ()
    no_decay = ('.peg.', )

    def build_patch_embed(self) -> nn.Module:
        return ConvEmbed(self.in_channels, self.spec['dims'][0], 4, stride=4, padding=0)

    def build_stage(self, i: int, drop_path: Sequence[float]) -> nn.Module:
        spec, dim = self.spec, self.spec['dims'][i]
        downsample = ConvEmbed(spec['dims'][i - 1], dim, 2, stride=2, padding=0) if i else None
        blocks = [
            PreNormBlock(dim, SpatialReductionAttention(dim, spec['num_heads'][i], spec['sr_ratios'][i]),
                         Mlp(dim, int(dim * spec['mlp_ratios'][i])), rate, BLOCK_EPS) for rate in drop_path
        ]
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
    )
    other_layouts = {
        "OpenMMLab's": (
            (r'^patch_embeds\.(\d)\.projection\.', r'patch_embeds.\1.proj.'),
            (r'^patch_embeds\.0\.', 'patch_embed.'),
            (r'^patch_embeds\.(\d)\.', r'stages.\1.downsample.'),
            (r'^(layers|stages)\.(\d)\.(\d+)\.', r'stages.\2.blocks.\3.'),
            (r'^position_encodings\.(\d)\.', r'stages.\1.peg.'),
            (r'\.attn\.attn\.(q|kv)\.', r'.attn.\1.'),
            (r'\.attn\.attn\.out_proj\.', '.attn.proj.'),
            (r'\.ffn\.layers\.0\.0\.', '.mlp.fc1.'),
            (r'\.ffn\.layers\.1\.', '.mlp.fc2.'),
        )
    }
