"""Pyramid Vision Transformer, PVT (Wang et al., ICCV 2021, arXiv 2102.12122).

New in it: a transformer without convolutions in four stages, each with a coarser map than the one before, made
affordable by spatial-reduction attention (`SpatialReductionAttention`): all tokens ask, few answer.

Facts from whai362/PVT@57e2dfa (Apache-2.0), its classifier, and its detection and segmentation backbones, which compute
the same. One deviation: they compare the number of tokens with the first stage's to see whether a position table fits,
and so fail at some sizes (448x448) and take a table as it is for others (28x112 tokens); here a table is resized
wherever its size is not the map's, which is the same function at all other sizes.
"""
from typing import Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from ..layers import ConvEmbed, Mlp, PreNormBlock, SpatialReductionAttention, resize_position
from ..registry import MODELS
from .base import Backbone, Stage

BLOCK_EPS = 1e-6
"""Of the LayerNorms in blocks. Those of patch embeddings and reductions have 1e-5."""


class PositionedEmbed(ConvEmbed):
    """Patches that do not overlap, a LayerNorm, and a learned position table.

    The table keeps the size it was trained with. It is interpolated to each map in the forward pass (bilinear), where
    gradients reach it.

    Args:
        in_dim: Channels of the input.
        dim: Channels of the output.
        stride: Side of a patch in pixels. What is left over at the bottom and the right is dropped.
        side: Height and width of the position table in tokens.
        class_token: The table has a row for a class token before the others. It is left to `ClassTokenStage`; the dense
            model has no such token.
    """

    def __init__(self, in_dim: int, dim: int, stride: int, side: int, class_token: bool) -> None:
        super().__init__(in_dim, dim, stride, stride, padding=0)
        self.side = side
        self.pos_embed = nn.Parameter(torch.zeros(1, side**2 + class_token, dim))
        nn.init.trunc_normal_(self.pos_embed, std=.02)

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        table = self.pos_embed[:, -self.side**2:].unflatten(1, (self.side, self.side))
        return x + resize_position(table, x.shape[1:3])

    def resize(self, name: str, value: Tensor) -> Optional[Tensor]:
        """A table without a row for a class token (OpenMMLab's) gets one of zeros; None for what is no such table."""
        own = self.pos_embed.shape
        if name != 'pos_embed' or value.shape != (1, self.side**2, own[-1]):
            return None
        return torch.cat([value.new_zeros(1, own[1] - value.shape[1], own[-1]), value], dim=1)


class ClassTokenStage(Stage):
    """The last stage of the classifier: a class token joins the others.

    (B, H, W, C) -> (B, 1, 1 + H' * W', C) and (H', W'), which the blocks get, too.

    Args:
        blocks, with_cp: As `Stage`.
        downsample: With a row for the class token in its position table.
    """

    def __init__(self, blocks: Sequence[nn.Module], downsample: PositionedEmbed, with_cp: bool) -> None:
        super().__init__(blocks, downsample, with_cp)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, downsample.pos_embed.shape[-1]))
        nn.init.trunc_normal_(self.cls_token, std=.02)

    def forward(self, x: Tensor) -> Tuple[Tensor, Tuple[int, int]]:
        x = self.downsample(x)
        size = tuple(x.shape[1:3])
        x = x.flatten(1, 2)
        cls_token = self.cls_token + self.downsample.pos_embed[:, :1]
        x = torch.cat([cls_token.expand(len(x), -1, -1), x], dim=1).unsqueeze(1)
        for block in self.blocks:
            x = self.run(block, x, size)
        return x, size


@MODELS.register_module()
class PyramidVisionTransformer(Backbone):
    """PVT; arguments and contract in `Backbone`. The authors' levels are not normalised, so there are no norms."""

    family = 'pvt'
    # Table 1 of the paper, which has 3 blocks in the second stage of small and medium; code and checkpoints have 4.
    archs = {
        name: dict(dims=(64, 128, 320, 512), depths=depths, num_heads=(1, 2, 5, 8), mlp_ratios=(8, 8, 4, 4),
                   sr_ratios=(8, 4, 2, 1), table_sides=(56, 28, 14, 7))
        for name, depths in (
            ('tiny',   (2, 2, 2, 2)),
            ('small',  (3, 4, 6, 3)),
            ('medium', (3, 4, 18, 3)),
            ('large',  (3, 8, 27, 3)),
        )
    }  # yapf: disable
    norms = None
    new_keys = ()
    pooled_keys = (r'norm\.', r'stages\.3\.cls_token$')
    no_decay = ('cls_token', )

    def build_patch_embed(self) -> nn.Module:
        return self._embed(0, self.in_channels, 4)

    def build_stage(self, i: int, drop_path: Sequence[float]) -> nn.Module:
        spec, dim = self.spec, self.spec['dims'][i]
        blocks = [
            self.build_block(i, SpatialReductionAttention(dim, spec['num_heads'][i], spec['sr_ratios'][i]), rate)
            for rate in drop_path
        ]
        if self.has_class_token(i):
            return ClassTokenStage(blocks, self._embed(i, spec['dims'][i - 1], 2), self.with_cp)
        return Stage(blocks, self._embed(i, spec['dims'][i - 1], 2) if i else None, self.with_cp)

    def build_block(self, i: int, attn: nn.Module, drop_path: float) -> nn.Module:
        """A block of stage i around its attention."""
        dim = self.spec['dims'][i]
        return PreNormBlock(dim, attn, Mlp(dim, int(dim * self.spec['mlp_ratios'][i])), drop_path, BLOCK_EPS)

    def has_class_token(self, i: int) -> bool:
        """Whether stage i has one."""
        return self.out_type == 'pooled' and i == len(self.spec['depths']) - 1

    def build_norm(self, i: int) -> nn.Module:
        return nn.LayerNorm(self.spec['dims'][i], eps=BLOCK_EPS)

    def pool(self, x: Tuple[Tensor, Tuple[int, int]]) -> Tensor:
        """The normed class token."""
        return self.norm(x[0][:, 0, 0])

    def _embed(self, i: int, in_dim: int, stride: int) -> nn.Module:
        last = i == len(self.spec['depths']) - 1
        return PositionedEmbed(in_dim, self.spec['dims'][i], stride, self.spec['table_sides'][i], class_token=last)

    rename = (
        (r'^head\.', None),
        (r'^cls_token$', 'stages.3.cls_token'),
        (r'^pos_embed1$', 'patch_embed.pos_embed'),
        (r'^patch_embed1\.', 'patch_embed.'),
        (r'^pos_embed(\d)$', lambda match: f'stages.{int(match[1]) - 1}.downsample.pos_embed'),
        (r'^patch_embed(\d)\.', lambda match: f'stages.{int(match[1]) - 1}.downsample.'),
        (r'^block(\d)\.', lambda match: f'stages.{int(match[1]) - 1}.blocks.'),
    )
    other_layouts = {
        "OpenMMLab's": (
            (r'^layers\.0\.0\.projection\.', 'patch_embed.proj.'),
            (r'^layers\.0\.0\.', 'patch_embed.'),
            (r'^layers\.0\.1\.0\.pos_embed$', 'patch_embed.pos_embed'),
            (r'^layers\.(\d)\.0\.projection\.', r'stages.\1.downsample.proj.'),
            (r'^layers\.(\d)\.0\.', r'stages.\1.downsample.'),
            (r'^layers\.(\d)\.1\.0\.pos_embed$', r'stages.\1.downsample.pos_embed'),
            (r'^layers\.(\d)\.1\.(\d+)\.', lambda match: f'stages.{match[1]}.blocks.{int(match[2]) - 1}.'),
            (r'\.attn\.attn\.(q|kv)\.', r'.attn.\1.'),
            (r'\.attn\.attn\.out_proj\.', '.attn.proj.'),
            (r'\.ffn\.layers\.0\.', '.mlp.fc1.'),
            (r'\.ffn\.layers\.3\.', '.mlp.fc2.'),
        )
    }
