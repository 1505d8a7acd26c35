"""CeiT (Yuan et al., "Incorporating Convolution Designs into Visual Transformers", ICCV 2021, arXiv 2103.11816).

New in it: patches are taken of a small convolutional map; the feed-forward part of a block has a depth-wise
convolution, past which the class token goes; and a classifier's last block attends to the class tokens behind all the
others.

Facts from coeusguo/ceit@44c16d3 (Apache-2.0), classification on square images whose sides are multiples of 16; others,
and the pyramids, are this package's own. The authors' last norm is for class tokens alone. Behind the last block of a
dense model, there is none: levels get new norms, all of them, or with ``pyramid`` 'raw', 'last' or None no norm at all.
"""
from typing import Optional, Tuple

import torch
from torch import Tensor, nn

from ..layers import Mlp, NormedMlp, PreNormBlock, attention, conv_map, normed_conv
from ..registry import MODELS
from .column import ColumnarBackbone, SelfAttention, TokenStem, quarters

STEM_DIM = 64

Tokens = Tuple[Tensor, Tensor]
"""Tokens (B, 1 + h * w, C), and the class token behind each block so far, (B, blocks, C)."""


class ImageToTokens(TokenStem):
    """A 7x7 convolution, BatchNorm and max pooling, with no activation, and 4 x 4 patches of the result.

    Rows and columns that make no whole patch are left out.

    Args:
        in_dim: Channels of the image.
        dim, grid, antialias: As for `TokenStem`.

    Returns:
        `Tokens`, their height and width, and the map of stride 4 that the patches are of.
    """

    def __init__(self, in_dim: int, dim: int, grid: Tuple[int, int], antialias: bool) -> None:
        super().__init__(nn.Conv2d(STEM_DIM, dim, 4, stride=4), dim, grid, antialias=antialias)
        self.conv = nn.Conv2d(in_dim, STEM_DIM, 7, stride=2, padding=3, bias=False)
        self.bn = nn.BatchNorm2d(STEM_DIM)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tuple[Tokens, Tuple[int, int], Tensor]:
        first = conv_map(lambda x: self.pool(normed_conv(self.conv, self.bn, x)), x)
        x = conv_map(self.proj, first)
        tokens = self.place(x)
        return (tokens, tokens[:, :0]), tuple(x.shape[1:3]), first


class CeiTBlock(PreNormBlock):
    """A pre-norm block whose feed-forward part, with its convolution, is for the patches; the class token goes past it.

    What is added to the class token there is its norm.
    """

    def forward(self, tokens: Tokens, size: Tuple[int, int]) -> Tokens:
        x, classes = tokens
        x = x + self.drop_path(self.attn(self.norm1(x)))
        y = self.norm2(x)
        patches = self.mlp(y[:, 1:].unflatten(1, size)).flatten(1, 2)
        x = x + self.drop_path(torch.cat([y[:, :1], patches], dim=1))
        return x, torch.cat([classes, x[:, :1]], dim=1)


class LastQueryAttention(SelfAttention):
    """Attention of the last token to all, (B, N, C) -> (B, 1, C)."""

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x)
        return self.proj(attention(q[:, :, -1:], k, v))


class LayerwiseClassAttention(PreNormBlock):
    """The last class token attends to those behind all blocks, with a position each; `Tokens` -> (B, C).

    Args:
        dim: Channels.
        num_heads: Heads.
        hidden_dim: Channels between the linears of the MLP.
        depth: Blocks of the column.
        eps: Of the norms.
    """

    def __init__(self, dim: int, num_heads: int, hidden_dim: int, depth: int, eps: float) -> None:
        super().__init__(dim, LastQueryAttention(dim, num_heads), Mlp(dim, hidden_dim), eps=eps)
        self.pos_layer_embed = nn.Parameter(torch.zeros(1, depth, dim))
        self.norm = nn.LayerNorm(dim, eps=eps)

    def forward(self, tokens: Tokens) -> Tensor:
        x = tokens[1] + self.pos_layer_embed
        last = x[:, -1] + self.attn(self.norm1(x))[:, 0]
        return self.norm(last + self.mlp(self.norm2(last)))


@MODELS.register_module()
class CeiT(ColumnarBackbone):
    """CeiT; arguments and contract in `ColumnarBackbone` and `Backbone`.

    Of its own, ``pyramid='own'``, it has the stem's map of stride 4; the other levels are made of the last map. There,
    as with 'taps', each level has a new norm; with 'raw' and None the last map has none.
    """

    family = 'ceit'
    archs = {
        name: dict(dims=(dim, ) * 4, depths=quarters(12), num_heads=dim // 64, mlp_ratio=4, grid=grid)
        for name, dim, grid in (
            ('ceit_t',     192, 14),
            ('ceit_t_384', 192, 24),
            ('ceit_s',     384, 14),
            ('ceit_s_384', 384, 24),
            ('ceit_b',     768, 14),
        )
    }  # yapf: disable
    pyramids = ('own', *ColumnarBackbone.pyramids)
    stem_dims = (STEM_DIM, )
    pooled_keys = (r'stages\.3\.norm\.', )
    no_decay = ('pos_embed', 'cls_token')

    def build_patch_embed(self) -> nn.Module:
        return ImageToTokens(self.in_channels, self.spec['dims'][0], (self.spec['grid'], ) * 2, self.antialias)

    def build_block(self, number: int, drop_path: float) -> nn.Module:
        dim = self.spec['dims'][0]
        mlp = NormedMlp(dim, int(dim * self.spec['mlp_ratio']))
        return CeiTBlock(dim, SelfAttention(dim, self.spec['num_heads']), mlp, drop_path, self.eps)

    def build_norm(self, i: int) -> Optional[nn.Module]:
        """A new norm of level i, whatever it is made of."""
        if self.pyramid not in ('taps', 'own'):
            return None
        return nn.LayerNorm(STEM_DIM if self.source(i) == 'stem' else self.spec['dims'][i], eps=self.eps)

    def build_last_norm(self) -> nn.Module:
        """The classifier's last block, and its norm."""
        dim, depth = self.spec['dims'][-1], sum(self.spec['depths'])
        return LayerwiseClassAttention(dim, self.spec['num_heads'], int(dim * self.spec['mlp_ratio']), depth, self.eps)

    def has_last_norm(self) -> bool:
        return self.out_type == 'pooled'

    def pool(self, x: tuple) -> Tensor:
        """What `LayerwiseClassAttention` returns."""
        return x[0]

    def level(self, x: tuple) -> Tensor:
        (tokens, _), size = x
        return super().level((tokens, size))

    rename = (
        (r'^i2t\.(backbone\.)?', 'patch_embed.'),
        (r'^(cls_token|pos_embed)$', r'patch_embed.\1'),
        (r'\.leff\.conv2\.', '.mlp.dw3x3.'),
        (r'\.leff\.conv1\.', '.mlp.fc1.'),
        (r'\.leff\.conv3\.', '.mlp.fc2.'),
        (r'\.leff\.bn(\d)\.', r'.mlp.norm\1.'),
        (r'^(pos_layer_embed$|norm\.)', r'lca.\1'),
        (r'^lca\.feedforward\.', 'lca.mlp.'),
        (r'^lca\.', 'stages.3.norm.'),
        (r'^head\.', None),
    )
