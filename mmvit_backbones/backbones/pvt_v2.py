"""PVT v2 (Wang et al., Computational Visual Media 2022, arXiv 2106.13797).

New in it, against PVT: patches that overlap, a depth-wise convolution in the MLP in place of position tables, and (in
the variant b2_li) attention to a map pooled to a fixed size, so that the cost is linear in the number of tokens.

Facts from whai362/PVT@57e2dfa and whai362/PVTv2-Seg@db8b6fe (both Apache-2.0), their detection and segmentation
backbones, which compute the same; nothing differs in the mathematics.
"""
from typing import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import ConvEmbed, ConvMlp, PreNormBlock, SpatialReductionAttention, init_conv_fan_out
from ..registry import MODELS
from .base import Backbone, Stage

BLOCK_EPS = 1e-6
"""Of the LayerNorms in blocks and after stages. Those of patch embeddings and reductions have 1e-5."""


class LinearReductionAttention(SpatialReductionAttention):
    """Every token of a map attends to the map pooled to a fixed size, through a 1x1 convolution, LayerNorm and GELU.

    Args:
        dim: Channels.
        num_heads: Heads.
        side: Height and width of the pooled map in tokens, also where the map is smaller than that.
    """

    def __init__(self, dim: int, num_heads: int, side: int) -> None:
        super().__init__(dim, num_heads, ratio=1)
        self.side = side
        self.sr = nn.Conv2d(dim, dim, 1)
        self.norm = nn.LayerNorm(dim)

    def reduce(self, x: Tensor) -> Tensor:
        pooled = F.adaptive_avg_pool2d(x.permute(0, 3, 1, 2), self.side)
        return F.gelu(self.norm(self.sr(pooled).permute(0, 2, 3, 1)))


@MODELS.register_module()
class PyramidVisionTransformerV2(Backbone):
    """PVT v2; arguments and contract in `Backbone`. Each stage reads the normed output of the one before."""

    family = 'pvt_v2'
    # Table 1 of the paper, which has 3 blocks in the second stage of b2 and b3; code and checkpoints have 4. pool_side
    # is that of linear attention; None for the convolutions of sr_ratios.
    archs = {
        name: dict(dims=dims, depths=depths, num_heads=(1, 2, 5, 8), mlp_ratios=mlp_ratios, sr_ratios=(8, 4, 2, 1),
                   pool_side=pool_side)
        for name, dims, depths, mlp_ratios, pool_side in (
            ('b0',    (32, 64, 160, 256),  (2, 2, 2, 2),  (8, 8, 4, 4), None),
            ('b1',    (64, 128, 320, 512), (2, 2, 2, 2),  (8, 8, 4, 4), None),
            ('b2',    (64, 128, 320, 512), (3, 4, 6, 3),  (8, 8, 4, 4), None),
            ('b2_li', (64, 128, 320, 512), (3, 4, 6, 3),  (8, 8, 4, 4), 7),
            ('b3',    (64, 128, 320, 512), (3, 4, 18, 3), (8, 8, 4, 4), None),
            ('b4',    (64, 128, 320, 512), (3, 8, 27, 3), (8, 8, 4, 4), None),
            ('b5',    (64, 128, 320, 512), (3, 6, 40, 3), (4, 4, 4, 4), None),
        )
    }  # yapf: disable
    norms = pooled_norms = 'trunk'
    new_keys = ()

    def build_patch_embed(self) -> nn.Module:
        return ConvEmbed(self.in_channels, self.spec['dims'][0], 7, stride=4, padding=3)

    def build_stage(self, i: int, drop_path: Sequence[float]) -> nn.Module:
        dims = self.spec['dims']
        downsample = ConvEmbed(dims[i - 1], dims[i], 3, stride=2, padding=1) if i else None
        return Stage([self._block(i, rate) for rate in drop_path], downsample, self.with_cp)

    def _block(self, i: int, drop_path: float) -> nn.Module:
        spec, dim, num_heads = self.spec, self.spec['dims'][i], self.spec['num_heads'][i]
        hidden_dim = int(dim * spec['mlp_ratios'][i])
        if spec['pool_side'] is None:
            attn = SpatialReductionAttention(dim, num_heads, spec['sr_ratios'][i])
            mlp = ConvMlp(dim, hidden_dim)
        else:
            attn = LinearReductionAttention(dim, num_heads, spec['pool_side'])
            mlp = ConvMlp(dim, hidden_dim, conv_act=nn.ReLU(inplace=True))
        return PreNormBlock(dim, attn, mlp, drop_path, BLOCK_EPS)

    def build_norm(self, i: int) -> nn.Module:
        return nn.LayerNorm(self.spec['dims'][i], eps=BLOCK_EPS)

    def init_module(self, module: nn.Module) -> None:
        super().init_module(module)
        if isinstance(module, nn.Conv2d):
            init_conv_fan_out(module)

    rename = (
        (r'^head\.', None),
        (r'^patch_embed1\.', 'patch_embed.'),
        (r'^patch_embed(\d)\.', lambda match: f'stages.{int(match[1]) - 1}.downsample.'),
        (r'^block(\d)\.', lambda match: f'stages.{int(match[1]) - 1}.blocks.'),
        (r'\.dwconv\.dwconv\.', '.dwconv.'),
        (r'^norm(\d)\.', lambda match: f'norm{int(match[1]) - 1}.'),
    )
    other_layouts = {
        "OpenMMLab's": (
            (r'^layers\.0\.0\.projection\.', 'patch_embed.proj.'),
            (r'^layers\.0\.0\.', 'patch_embed.'),
            (r'^layers\.(\d)\.0\.projection\.', r'stages.\1.downsample.proj.'),
            (r'^layers\.(\d)\.0\.', r'stages.\1.downsample.'),
            (r'^layers\.(\d)\.1\.', r'stages.\1.blocks.'),
            (r'^layers\.(\d)\.2\.', r'norm\1.'),
            (r'\.attn\.attn\.(q|kv)\.', r'.attn.\1.'),
            (r'\.attn\.attn\.out_proj\.', '.attn.proj.'),
            (r'\.ffn\.layers\.0\.', '.mlp.fc1.'),
            (r'\.ffn\.layers\.1\.', '.mlp.dwconv.'),
            (r'\.ffn\.layers\.4\.', '.mlp.fc2.'),
        ),
        "timm's": (
            (r'^head\.', None),
            (r'^stages\.(\d)\.norm\.', r'norm\1.'),
        ),
    }
