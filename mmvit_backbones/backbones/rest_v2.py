"""ResT V2 (Zhang and Yang, NeurIPS 2022, arXiv 2204.07366).

New in it, against ResT: plain attention again, without mixed heads and normed maps; what the reduction of keys and
values loses comes back on a second path, where a convolution upsamples the values.

Facts from wofmanaf/ResT@b9245d3 (Apache-2.0), its detection and segmentation backbones, which compute the same; nothing
differs in the mathematics. They take multiples of 32. Here the sizes of maps are what convolutions make of them, and
what is upsampled beyond the bottom and the right of a map is cut off, which is the same function there.
"""
from typing import Sequence

from torch import Tensor, nn

from ..layers import Mlp, NormedConvs, PreNormBlock, conv_map
from ..registry import MODELS
from .base import Backbone, Stage
from .rest import DepthwiseReductionAttention, PixelAttention

EPS = 1e-6
"""Of the LayerNorms. The stem's batch norms have 1e-5."""


class GatedEmbed(nn.Module):
    """The stem, or the step between two stages: convolutions, the gate, and a LayerNorm.

    Args:
        proj: The convolutions, on NCHW maps.
        dim: Channels of their output.
    """

    def __init__(self, proj: nn.Module, dim: int) -> None:
        super().__init__()
        self.proj = proj
        self.pos = PixelAttention(dim)
        self.norm = nn.LayerNorm(dim, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, channels) -> (B, H', W', dim)"""
        return self.norm(self.pos(conv_map(self.proj, x)))


class UpsamplingReductionAttention(DepthwiseReductionAttention):
    """EMSAv2 (section 3.2): attention to a smaller map, plus its values upsampled to the size of the queries.

    Args:
        dim, num_heads, ratio: As `DepthwiseReductionAttention`; with a ratio of 1 the second path is a convolution of
            the values alone.
    """

    def __init__(self, dim: int, num_heads: int, ratio: int) -> None:
        super().__init__(dim, num_heads, ratio, EPS)
        self.up = nn.Conv2d(dim, dim * ratio**2, 3, padding=1, groups=dim)
        self.up_norm = nn.LayerNorm(dim, eps=EPS)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        # (B, H', W', C, r, r) -> (B, H' * r, W' * r, C): each channel makes the r x r tokens of its cell
        cells = conv_map(self.up, v).unflatten(-1, (-1, self.ratio, self.ratio))
        upsampled = cells.permute(0, 1, 4, 2, 5, 3).flatten(3, 4).flatten(1, 2)
        return super().attend(q, k, v) + self.up_norm(upsampled)[:, :q.shape[1], :q.shape[2]]


@MODELS.register_module()
class ResTV2(Backbone):
    """ResT V2; arguments and contract in `Backbone`.

    No weight tells the number of heads: those of large are twice the others', in the authors' classifier; their
    detection code has an entry for it with other depths and heads, for which nothing was published.
    """

    family = 'rest_v2'
    # Table 1 of the paper and the authors' classification code.
    archs = {
        name: dict(dims=tuple(dim * 2**i for i in range(4)), depths=depths,
                   num_heads=tuple(heads * 2**i for i in range(4)), mlp_ratio=4, sr_ratios=(8, 4, 2, 1))
        for name, dim, depths, heads in (
            ('tiny',   96, (1, 2, 6, 2),  1),
            ('small',  96, (1, 2, 12, 2), 1),
            ('base',   96, (1, 3, 16, 3), 1),
            ('large', 128, (2, 3, 16, 2), 2),
        )
    }  # yapf: disable

    def build_patch_embed(self) -> nn.Module:
        dim = self.spec['dims'][0]
        half = nn.Conv2d(self.in_channels, dim // 2, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(dim // 2)
        quarter = nn.Conv2d(dim // 2, dim, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(dim)
        proj = NormedConvs(*half, nn.ReLU(), *quarter, nn.ReLU(), nn.Conv2d(dim, dim, 1))
        return GatedEmbed(proj, dim)

    def build_stage(self, i: int, drop_path: Sequence[float]) -> nn.Module:
        spec, dim = self.spec, self.spec['dims'][i]
        downsample = GatedEmbed(nn.Conv2d(spec['dims'][i - 1], dim, 3, stride=2, padding=1), dim) if i else None
        blocks = [
            PreNormBlock(dim, UpsamplingReductionAttention(dim, spec['num_heads'][i], spec['sr_ratios'][i]),
                         Mlp(dim, dim * spec['mlp_ratio']), rate, EPS) for rate in drop_path
        ]
        return Stage(blocks, downsample, self.with_cp)

    def build_norm(self, i: int) -> nn.Module:
        return nn.LayerNorm(self.spec['dims'][i], eps=EPS)

    def init_module(self, module: nn.Module) -> None:
        super().init_module(module)
        if isinstance(module, nn.Conv2d):
            nn.init.trunc_normal_(module.weight, std=.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    rename = (
        (r'^head\.', None),
        (r'^stem\.', 'patch_embed.'),
        (r'^patch_(\d)\.', lambda match: f'stages.{int(match[1]) - 1}.downsample.'),
        (r'^stage(\d)\.', lambda match: f'stages.{int(match[1]) - 1}.blocks.'),
        (r'\.up\.0\.', '.up.'),
        # with the zero in detectors, without it in segmentors
        (r'^norm_(\d)\.(0\.)?', lambda match: f'norm{int(match[1]) - 1}.'),
    )
