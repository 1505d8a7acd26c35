"""Columnar vision transformers: one resolution from the first block to the last, made into levels for dense prediction."""
import inspect
from functools import lru_cache
from math import isqrt
from typing import Callable, Dict, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from ..layers import (MaxPool, Mlp, PreNormBlock, Upsample, attention, conv_map, pad_to_multiple, resize_position)
from .base import Backbone, Stage, to_nchw

STRIDE = 16
"""Of the column."""
MOST_PREFIX = 2
"""Prefix tokens that a table of positions may have room for: class and distillation."""


def quarters(depth: int) -> Tuple[int, ...]:
    """The blocks of each of four stages, which end at 1/4, 2/4, 3/4 (rounded up) and 4/4 of the depth."""
    ends = [-(-depth * i // 4) for i in range(5)]
    return tuple(end - start for start, end in zip(ends, ends[1:]))


@lru_cache(maxsize=None)  # equal rules for equal depths
def number_blocks(depths: Tuple[int, ...]) -> Tuple[str, Callable]:
    """The rule of a rename table for authors who number the blocks through all stages."""
    places = [f'stages.{i}.blocks.{j}.' for i, depth in enumerate(depths) for j in range(depth)]
    numbers = {f'blocks.{number}.': name for number, name in enumerate(places)}
    return r'^blocks\.\d+\.', lambda match: numbers.get(match[0], match[0])


class SelfAttention(nn.Module):
    """Attention of all tokens to all, (B, N, C) -> (B, N, C).

    Args:
        dim: Channels.
        num_heads: Heads.
        qkv_bias: Whether queries, keys and values have a bias.
    """

    def __init__(self, dim: int, num_heads: int, qkv_bias: bool = True) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, *context) -> Tensor:
        return self.proj(attention(*self.project(x)))

    def project(self, x: Tensor) -> Tensor:
        """Tokens (B, N, C) -> queries, keys and values, (3, B, heads, N, d)"""
        return self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)


class PatchConv(nn.Conv2d):
    """Patches of the image, zero-padded at the bottom and the right, (B, H, W, in_dim) -> (B, H / p, W / p, dim).

    Args:
        in_dim: Channels of the image.
        dim: Channels of the result.
        patch: Side p of a patch.
    """

    def __init__(self, in_dim: int, dim: int, patch: int = STRIDE) -> None:
        super().__init__(in_dim, dim, patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        return conv_map(super().forward, pad_to_multiple(x, self.kernel_size)[0])


class TokenStem(nn.Module):
    """The image as tokens: patches with positions added, row by row, behind prefix tokens such as the class token.

    Args:
        proj: From the image (B, H, W, in_dim) to the map (B, h, w, dim) of the tokens.
        dim: Channels.
        grid: Height and width of the table of positions; None for none. For other maps it is interpolated each time
            (bicubic).
        prefix: Names of the learned tokens in front.
        placed: How many of these have a position, in front of the table.
        antialias: Interpolate with antialiasing.

    Returns:
        The tokens (B, prefix + h * w, dim) and (h, w).
    """

    def __init__(self,
                 proj: nn.Module,
                 dim: int,
                 grid: Optional[Tuple[int, int]],
                 prefix: Sequence[str] = ('cls_token', ),
                 placed: Optional[int] = None,
                 antialias: bool = False) -> None:
        super().__init__()
        self.proj = proj
        self.grid = grid
        self.prefix = tuple(prefix)
        self.placed = len(prefix) if placed is None else placed
        self.antialias = antialias
        for name in self.prefix:
            self.register_parameter(name, nn.Parameter(torch.zeros(1, 1, dim)))
            nn.init.trunc_normal_(getattr(self, name), std=.02)
        if grid is not None:
            self.set_positions(grid, dim)

    def set_positions(self, grid: Tuple[int, int], dim: int) -> None:
        """Learned ones; a subclass with fixed ones registers a buffer ``pos_embed`` of the same shape."""
        self.pos_embed = nn.Parameter(torch.zeros(1, self.placed + grid[0] * grid[1], dim))
        nn.init.trunc_normal_(self.pos_embed, std=.02)

    def forward(self, x: Tensor) -> Tuple[Tensor, Tuple[int, int]]:
        x = self.proj(x)
        return self.place(x), tuple(x.shape[1:3])

    def place(self, x: Tensor) -> Tensor:
        """The map (B, h, w, C) -> tokens, behind the prefix and with positions."""
        prefix = [getattr(self, name) for name in self.prefix]
        if self.grid is not None:
            table = self.pos_embed[:, self.placed:].unflatten(1, self.grid)
            x = x + resize_position(table, tuple(x.shape[1:3]), 'bicubic', self.antialias)
            prefix[:self.placed] = [token + self.pos_embed[:, i:i + 1] for i, token in enumerate(prefix[:self.placed])]
        if not prefix:
            return x.flatten(1, 2)
        return torch.cat([*(token.to(x.dtype).expand(len(x), -1, -1) for token in prefix), x.flatten(1, 2)], dim=1)

    def resize(self, name: str, value: Tensor) -> Optional[Tensor]:
        """Positions of a checkpoint, of a square grid of another size, interpolated to this one's; those of prefix tokens are
        left out where this one has none.

        None for what is no such positions.
        """
        side = isqrt(value.shape[1])
        placed = value.shape[1] - side**2
        if name != 'pos_embed' or side == 0 or placed > MOST_PREFIX or self.placed not in (0, placed):
            return None
        table = resize_position(value[:, placed:].unflatten(1, (side, side)), self.grid, 'bicubic', self.antialias)
        return torch.cat([value[:, :self.placed], table.flatten(1, 2)], dim=1)


class Column(Stage):
    """A part of the blocks of a column, from tokens with their height and width to the same.

    Args:
        blocks: Modules that take tokens (B, prefix + h * w, C) and (h, w), and return tokens.
        with_cp: As for `Stage`.
        norm: Applied behind the last block.
    """

    def __init__(self, blocks: Sequence[nn.Module], with_cp: bool = False, norm: Optional[nn.Module] = None) -> None:
        super().__init__(blocks, None, with_cp)
        self.norm = nn.Identity() if norm is None else norm

    def forward(self, x: Tuple[Tensor, Tuple[int, int]]) -> Tuple[Tensor, Tuple[int, int]]:
        tokens, size = x
        for block in self.blocks:
            tokens = self.run(block, tokens, size)
        return self.norm(tokens), size


class ColumnarBackbone(Backbone):
    """A column of blocks as four stages, which ``depths`` counts; the last of each is a tap.

    A family overrides ``build_patch_embed`` (a `TokenStem`, or another stem with its result, behind which its own maps may
    stand) and ``build_block`` where they are not ViT's. What the authors call ``norm`` stands at the end of the last stage.

    Args:
        pyramid: Where the levels come from, and their strides.
            'taps': four taps, each behind a norm (new ones, but for the last), brought to strides 4, 8, 16 and 32 by
            transposed convolutions (stride 4: two, with a LayerNorm and GELU between), as they are, and by max pooling.
            'last': all four are made of the last tap, without a norm; strides 4 and 8 have a quarter and half of the
            channels (ViTDet, arXiv 2203.16527).
            'own': maps that the network has, where it has any; the class says which.
            'raw': the taps as they are, all of stride 16, for necks and heads that take these (MultiLevelNeck, SETR,
            Segmenter, DPT); the last one behind the norm, and without with ``out_norm=False``.
            None: the last tap behind the norm, alone.
        antialias: Interpolate the table of positions with antialiasing, as timm does today; the authors do without.

    Where maps of strides 4 and 8 reach beyond the image, since the image is no multiple of 16, they are cut.
    """

    options = dict(pyramid='taps', antialias=False)
    stem_dims: Sequence[int] = ()
    """Channels of the stem's own maps, of strides 4, 8, ...; with ``pyramid='own'`` they are the first levels."""
    pyramids = ('taps', 'last', 'raw', None)
    """What ``pyramid`` may be."""
    eps = 1e-6
    """Of the norms."""
    prefix: Sequence[str] = ('cls_token', )
    """Tokens in front of the map's."""
    pooled_norms = None

    def __init_subclass__(cls, **kwargs) -> None:
        """Gives a family's docstring what is shared by columns."""
        if cls.__doc__ and cls.__init__ is Backbone.__init__ and ColumnarBackbone.__doc__:
            shared = inspect.cleandoc(ColumnarBackbone.__doc__)
            cls.__doc__ = f'{inspect.cleandoc(cls.__doc__)}\n\nOf every column:\n\n{shared[shared.index("Args:"):]}'
        super().__init_subclass__(**kwargs)

    # What a family says.

    def build_patch_embed(self) -> nn.Module:
        """The stem: patches with learned positions, behind the prefix."""
        dim, grid = self.spec['dims'][0], (self.spec['grid'], ) * 2
        return TokenStem(PatchConv(self.in_channels, dim), dim, grid, self.prefix, antialias=self.antialias)

    def build_block(self, number: int, drop_path: float) -> nn.Module:
        """Block of the column, on (tokens, (h, w)).

        Args:
            number: From 0, through all stages.
            drop_path: Its rate of stochastic depth.
        """
        dim = self.spec['dims'][0]
        attn = SelfAttention(dim, self.spec['num_heads'])
        return PreNormBlock(dim, attn, Mlp(dim, int(dim * self.spec['mlp_ratio'])), drop_path, self.eps)

    def build_last_norm(self) -> Optional[nn.Module]:
        """The norm behind the last block."""
        return nn.LayerNorm(self.spec['dims'][-1], eps=self.eps)

    def pool(self, x: tuple) -> Tensor:
        """The class token, behind the norm."""
        return x[0][:, 0]

    def level(self, x: tuple) -> Tensor:
        """The map (B, h, w, C) in what a stage hands to the next one: its tokens without the prefix."""
        tokens, size = x
        return tokens[:, len(self.prefix):].unflatten(1, size)

    def build_resample(self, i: int) -> Optional[nn.Module]:
        """What brings level i to its stride; None where it has it."""
        in_dim, dim = self.spec['dims'][0], self.level_shape(i)[0]
        if self.pyramid in ('raw', None) or self.source(i) == 'stem' or i == 2:
            return None
        if i == 3:
            return MaxPool()
        if i == 1:
            return Upsample(in_dim, dim)
        between = max(dim, in_dim // 2)
        return nn.Sequential(Upsample(in_dim, between), nn.LayerNorm(between, eps=self.eps), nn.GELU(), Upsample(between, dim))

    # What every column gets.

    def source(self, i: int) -> str:
        """Of what level i is made: 'stem', its own 'tap', or the 'last' one."""
        if self.pyramid == 'own':
            return 'stem' if i < len(self.stem_dims) else 'last'
        return 'last' if self.pyramid == 'last' else 'tap'

    def levels(self, out_indices: Sequence[int]) -> Sequence[int]:
        self._check(self.pyramid in self.pyramids, f'pyramid to be one of {", ".join(map(repr, self.pyramids))}', self.pyramid)
        sources = {self.source(i) for i in out_indices}
        self._check(sources != {'stem'}, f'a level of the column in out_indices, not {len(self.stem_dims)} of the stem alone', out_indices)
        self.parallel = 'last' in sources  # all stages are needed
        if self.pyramid is not None:
            return out_indices
        self._check(
            tuple(out_indices) in ((0, 1, 2, 3), (3, )), 'no out_indices with pyramid=None, which returns the last map alone',
            tuple(out_indices))
        return (3, )

    def level_shape(self, i: int) -> Tuple[int, int]:
        dim, stride = super().level_shape(i)
        if self.pyramid in ('raw', None):
            return dim, STRIDE
        if self.source(i) == 'stem':
            return self.stem_dims[i], stride
        return (dim if self.source(i) == 'tap' else dim // (4, 2, 1, 1)[i]), stride

    def build_stage(self, i: int, drop_path: Sequence[float]) -> nn.Module:
        start = sum(self.spec['depths'][:i])
        blocks = [self.build_block(start + j, rate) for j, rate in enumerate(drop_path)]
        return Column(blocks, self.with_cp, self.build_last_norm() if i == 3 and self.has_last_norm() else None)

    def has_last_norm(self) -> bool:
        return self.out_type == 'pooled' or self.out_norm and self.pyramid != 'last'

    def build_norm(self, i: int) -> Optional[nn.Module]:
        """A new norm of level i; what is made of the last tap has that of the last stage."""
        if self.source(i) == 'stem' or self.pyramid == 'taps' and i < 3:
            return nn.LayerNorm(self.level_shape(i)[0], eps=self.eps)
        return None

    def features(self, x: Tensor) -> Sequence[Tensor]:
        sides = x.shape[1:3]
        tokens, size, *stem = self.patch_embed(x)
        x = tokens, size
        taps = {}
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in self.out_indices and self.out_type == 'featmap' and self.source(i) == 'tap':
                taps[i] = self.level(x)
        if self.out_type == 'pooled':
            return [self.pool(x)]
        outs = []
        for i in self.out_indices:
            source = self.source(i)
            out = taps.pop(i) if source == 'tap' else stem[i] if source == 'stem' else self.level(x)
            out = self.finish(i, out)
            height, width = [-(-side // self.level_shape(i)[1]) for side in sides]
            outs.append(to_nchw(out[:, :height, :width]))
        return outs

    def layer_depth(self, name: str) -> int:
        return self.num_layers - 1 if name.startswith('stages.3.norm.') else super().layer_depth(name)

    def leaves_out(self, name: str) -> bool:
        return super().leaves_out(name) or name.startswith('stages.3.norm.') and not self.has_last_norm()

    @classmethod
    def layouts(cls, spec: dict) -> Dict[str, Sequence[tuple]]:
        """Their blocks are numbered through."""
        place = number_blocks(tuple(spec['depths']))
        return {whose: (*rules, place) for whose, rules in super().layouts(spec).items()}
