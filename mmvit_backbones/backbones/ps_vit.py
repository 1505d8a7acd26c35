"""PS-ViT (Yue et al., "Vision Transformer with Progressive Sampling", ICCV 2021, arXiv 2108.01684).

New in it: tokens are no patches. They are sampled from a convolutional map at points of a regular grid, and each of the
first blocks but the first moves its points by what the tokens have seen so far, and samples anew.

Facts from yuexy/PS-ViT@a63a397 (MIT), which classifies square images of one size; rectangles and the pyramid are this
package's own. The authors number tokens column by column; here it is row by row, which changes no more than the order.
The gradient of the sampling is that of its formula; the authors' CUDA kernel clamps it in the ring of one position
around the map.
"""
from typing import NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import Bottleneck, Mlp, PreNormBlock, conv_norm, no_autocast, normed_conv, resize_position, widen
from ..registry import MODELS
from .base import Stage
from .column import STRIDE, ColumnarBackbone, SelfAttention, TokenStem, quarters

ITERATIONS = 4
"""Blocks that sample."""
STEM_DIM = 64
IMAGE = 224
"""Side of the images that the numbers of points are for."""


class Scene(NamedTuple):
    """What all blocks of a column see of an image besides its tokens.

    Attributes:
        points: Rows and columns of the grid that the points start from.
        levels: Rows and columns of a map of stride 16.
        map: What is sampled, (B, C, h, w), in float32 at least.
        weight, bias: Of the linear layer from points (B, N, 2), as shares of the map's height and width, to what is
            added to their tokens; in float32 at least.
    """
    points: Tuple[int, int]
    levels: Tuple[int, int]
    map: Tensor
    weight: Tensor
    bias: Tensor


def start_points(grid: Tuple[int, int], size: Tuple[int, int], device: torch.device) -> Tensor:
    """The points of a regular grid on a map, row by row: (1, rows * columns, 2), in positions of the map, y first.

    They lie half a position beyond the middle of their cells, as the authors have them.
    """
    y, x = [(torch.arange(count, device=device) + .5) * (side / count) for count, side in zip(grid, size)]
    return torch.stack(torch.meshgrid(y, x, indexing='ij'), -1).flatten(0, 1)[None]


def sample(x: Tensor, points: Tensor) -> Tensor:
    """Values of maps at points, interpolated; around a map are zeros.

    Args:
        x: Maps, (B, C, h, w).
        points: (B, N, 2) in positions of the map, y first; whole numbers are its values' own.

    Returns:
        (B, N, C)
    """
    sides = points.new_tensor(x.shape[2:])
    grid = ((2 * points + 1) / sides - 1).flip(-1).unsqueeze(2)
    values = F.grid_sample(x, grid, mode='bilinear', padding_mode='zeros', align_corners=False)
    return values.squeeze(-1).transpose(1, 2)


class ConvStem(nn.Module):
    """The map that is sampled: ResNet's stem and two bottlenecks, (B, H, W, in_dim) -> (B, H / 4, W / 4, dim).

    Args:
        in_dim: Channels of the image.
        between: Channels between the bottlenecks.
        dim: Channels of the map.
        with_cp: As for `Stage`, for the bottlenecks.
    """

    def __init__(self, in_dim: int, between: int, dim: int, with_cp: bool) -> None:
        super().__init__()
        self.conv, self.norm = conv_norm(in_dim, STEM_DIM, 7, 2)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.stage = Stage([Bottleneck(STEM_DIM, STEM_DIM, between), Bottleneck(between, STEM_DIM, dim)], None, with_cp)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(F.relu(normed_conv(self.conv, self.norm, x.permute(0, 3, 1, 2))))
        return self.stage(x.permute(0, 2, 3, 1))


class PointStem(TokenStem):
    """The map, the points that it is first sampled at, and the class token.

    Args:
        proj: From the image to the map.
        dim: Channels of both.
        points: Points along a side of an image of 224 pixels; other images have as many a pixel.

    Returns:
        The class token (B, 1, dim) with the points, the `Scene`, and the map.
    """

    def __init__(self, proj: nn.Module, dim: int, points: int) -> None:
        super().__init__(proj, dim, None)
        self.points = points
        self.pos_layer = nn.Linear(2, dim)

    def forward(self, x: Tensor) -> Tuple[Tuple[Tensor, Tensor], Scene, Tensor]:
        points, levels = [
            tuple([max(1, (2 * side * count + IMAGE) // (2 * IMAGE)) for side in x.shape[1:3]])
            for count in (self.points, IMAGE // STRIDE)
        ]
        x = self.proj(x)
        place = widen(self.pos_layer.weight), widen(self.pos_layer.bias)
        scene = Scene(points, levels, widen(x).permute(0, 3, 1, 2), *place)
        start = start_points(points, tuple(x.shape[1:3]), x.device).to(scene.map.dtype)
        return (self.cls_token.to(x.dtype).expand(len(x), -1, -1), start.expand(len(x), -1, -1)), scene, x


class Offset(nn.Linear):
    """How far points move, in positions of the map: tokens (..., dim) -> (..., 2), y first. It starts from nowhere."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, 2)


class SamplingBlock(PreNormBlock):
    """A block that samples its tokens, and adds those of the block before; the class token waits.

    Points in float32 under autocast: a map of 300 positions is more than half precision tells apart.

    Args:
        dim, attn, mlp, drop_path, eps: As for `PreNormBlock`.
        moves: Move the points before they are sampled, as all but the first block do.
        last: Return tokens without points.
    """

    def __init__(self, dim: int, attn: nn.Module, mlp: nn.Module, drop_path: float, eps: float, moves: bool,
                 last: bool) -> None:
        super().__init__(dim, attn, mlp, drop_path, eps)
        self.offset = Offset(dim) if moves else None
        self.last = last

    def forward(self, x: Tuple[Tensor, Tensor], scene: Scene):
        """Tokens (B, 1 + N, C) with points (B, N, 2) -> the same, or the tokens alone."""
        (tokens, points), (wait, seen) = x, x[0].tensor_split([1], dim=1)
        with no_autocast(tokens):
            if self.offset is not None:
                points = points + F.linear(widen(seen), widen(self.offset.weight), widen(self.offset.bias))
            sampled = sample(scene.map, points)
            points = points.detach()  # what a point teaches, it teaches through what is sampled there
            share = points / points.new_tensor(scene.map.shape[2:])
            new = (sampled + F.linear(share, scene.weight, scene.bias)).to(tokens.dtype)
        new = super().forward(new if self.offset is None else new + seen)
        tokens = torch.cat([wait, new], 1)
        return tokens if self.last else (tokens, points)


@MODELS.register_module()
class PSViT(ColumnarBackbone):
    """PS-ViT; arguments and contract in `ColumnarBackbone` and `Backbone`.

    Of its own, ``pyramid='own'``, it has the map that is sampled (stride 4, with a new norm); the other levels are made
    of the last tap.

    A token stays in the cell of the map that its point started from, wherever that moves. Points are spread evenly over
    an image, side * ``points`` / 224 along a side, rounded. b_10, b_14, b_16 and b_18 differ in this number alone, and
    their weights fit one another: of 14, a point stands for 16 x 16 pixels; the maps of others are interpolated
    (bilinear) to that, so that levels have the strides that they say. The authors trained B with a dropout of 0.1, left
    out here.
    """

    family = 'ps_vit'
    archs = {
        f'ps_vit_{name}': dict(dims=(dim, ) * 4, depths=quarters(depth), num_heads=dim // 64, mlp_ratio=3,
                               stem_dim=stem_dim, points=points)
        for name, dim, depth, stem_dim, points in (
            ('ti_14', 192, 12, 192, 14),
            ('b_10',  384, 14, 256, 10),
            ('b_14',  384, 14, 256, 14),
            ('b_16',  384, 14, 256, 16),
            ('b_18',  384, 14, 256, 18),
        )
    }  # yapf: disable
    pyramids = ('own', *ColumnarBackbone.pyramids)
    eps = 1e-5
    no_decay = ('cls_token', )

    @property
    def stem_dims(self) -> Tuple[int]:
        return self.spec['dims'][:1]

    def build_patch_embed(self) -> nn.Module:
        spec, dim = self.spec, self.spec['dims'][0]
        return PointStem(ConvStem(self.in_channels, spec['stem_dim'], dim, self.with_cp), dim, spec['points'])

    def build_block(self, number: int, drop_path: float) -> nn.Module:
        dim = self.spec['dims'][0]
        parts = dim, SelfAttention(dim, self.spec['num_heads'], qkv_bias=False), Mlp(dim, self.spec['mlp_ratio'] * dim)
        sampling = min(ITERATIONS, sum(self.spec['depths']))
        if number >= sampling:
            return PreNormBlock(*parts, drop_path, self.eps)
        return SamplingBlock(*parts, drop_path, self.eps, moves=number > 0, last=number == sampling - 1)

    def level(self, x: tuple) -> Tensor:
        tokens, scene = x
        tokens = tokens[0] if isinstance(tokens, tuple) else tokens
        return resize_position(tokens[:, 1:].unflatten(1, scene.points), scene.levels)

    def init_module(self, module: nn.Module) -> None:
        super().init_module(module)
        if isinstance(module, Offset):
            nn.init.zeros_(module.weight)

    rename = (
        (r'^point_coord$', None),
        (r'^ps_layers\.\d+\.position_layer\.', None),  # the one pos_layer by other names
        (r'^stem\.0\.', 'patch_embed.proj.conv.'),
        (r'^stem\.1\.', 'patch_embed.proj.norm.'),
        (r'^stem\.([45])\.', lambda match: f'patch_embed.proj.stage.blocks.{int(match[1]) - ITERATIONS}.'),
        (r'^(cls_token$|pos_layer\.)', r'patch_embed.\1'),
        (r'^ps_layers\.(\d+)\.offset_layer\.', lambda match: f'blocks.{int(match[1]) + 1}.offset.'),
        (r'^ps_layers\.(\d+)\.transformer_layer\.', r'blocks.\1.'),
        (r'^trans_layers\.(\d+)\.', lambda match: f'blocks.{int(match[1]) + ITERATIONS}.'),
        (r'^norm\.', 'stages.3.norm.'),
        (r'^head\.', None),
    )
