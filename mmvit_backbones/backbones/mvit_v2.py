"""MViTv2 (Li et al., "MViTv2: Improved Multiscale Vision Transformers for Classification and Detection", CVPR 2022,
arXiv 2112.01526).

New in it, against MViT: relative positions decomposed into rows and columns, the pooled queries added to what the
attention returns, and for detection windows in all blocks but the last of a stage (Hwin). From MViT: queries, keys and
values are pooled by convolutions, and the queries of a stage's first block with a stride, which is the step down.

Facts from facebookresearch/detectron2@02b5c4e, the dense code, and from facebookresearch/mvit@dfbdfdf, the classifier
(both Apache-2.0). The classifier has no windows, and reads twice as many keys a side in the last blocks of the second
and the third stage; with a class token, where the models of ImageNet-21k have one, whose configurations are not
published. Left out: absolute position embedding, which no published model has, and the layout of MViTv2-L trained on
ImageNet-1k alone (`MViTv2.refused`).
"""
from typing import Callable, Dict, Optional, Sequence, Set, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import (DecomposedPosition, DropPath, Mlp, attention, conv_map, merge_windows, pad_to_multiple,
                      split_windows)
from ..registry import MODELS
from .base import Backbone, Stage
from .column import number_blocks

SIDE = 56
"""Of the first stage's map at 224 pixels, in tokens: what its windows and tables of positions are for. It halves with
each stage."""
EPS = 1e-6
"""Of all LayerNorms."""


def apply_to_map(function: Callable[[Tensor], Tensor], x: Tensor, size: Optional[Tuple[int, int]]) -> Tensor:
    """function(x) for a map (B, H, W, C); of tokens (B, 1 + H * W, C) the first, the class token, stays as it is.

    Args:
        function: From map to map.
        x: Map or tokens.
        size: H and W where x holds tokens, None where it is a map.
    """
    if size is None:
        return function(x)
    return torch.cat([x[:, :1], function(x[:, 1:].unflatten(1, size)).flatten(1, 2)], 1)


class PoolingAttention(nn.Module):
    """Attention of pooled queries to pooled keys, in windows that are cut after the pooling (sections 3.1 and 3.2).

    Windows are zero-padded at the bottom and the right, and padded keys are not masked: published weights were trained
    so. The heads share the filters of the pooling.

    Args:
        in_dim: Channels of the input.
        dim: Channels of the result.
        num_heads: Heads.
        side: Rows, and columns, that the tables of positions are for.
        stride: Of the queries, and of the result.
        kv_stride: Of keys and values.
        window: Side of a window in tokens of the input, a multiple of both strides; None for one of all tokens.
    """

    def __init__(self, in_dim: int, dim: int, num_heads: int, side: int, stride: int, kv_stride: int,
                 window: Optional[int]) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window = window
        head_dim = dim // num_heads
        self.qkv = nn.Linear(in_dim, 3 * dim)
        for name, step in (('q', stride), ('k', kv_stride), ('v', kv_stride)):
            self.add_module(f'pool_{name}', nn.Conv2d(head_dim, head_dim, 3, step, 1, groups=head_dim, bias=False))
            self.add_module(f'norm_{name}', nn.LayerNorm(head_dim, eps=EPS))
        self.position = DecomposedPosition(side, head_dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, size: Optional[Tuple[int, int]] = None) -> Tensor:
        """(B, H, W, in_dim) -> (B, H / stride, W / stride, dim); where ``size``, H and W, is given, tokens to tokens"""
        weights, biases = self.qkv.weight.chunk(3), self.qkv.bias.chunk(3)
        convs, norms = (self.pool_q, self.pool_k, self.pool_v), (self.norm_q, self.norm_k, self.norm_v)
        # One by one: a convolution would copy its part out of all three.
        q, k, v = [self.pool(F.linear(x, weight, bias), conv, norm, size)
                   for weight, bias, conv, norm in zip(weights, biases, convs, norms)]
        if size is None:
            return self.proj(self.attend_windows(q, k, v) + q)
        out = self.attend(q, k, v, pooled(size, self.pool_q), pooled(size, self.pool_k))
        return self.proj(out + F.pad(q[:, 1:], (0, 0, 1, 0)))

    def pool(self, x: Tensor, conv: nn.Conv2d, norm: nn.LayerNorm, size: Optional[Tuple[int, int]]) -> Tensor:
        """Each head's channels, convolved and normed; the class token, where there is one, is only normed."""
        weight = conv.weight.repeat(self.num_heads, 1, 1, 1)

        def convolve(x: Tensor) -> Tensor:
            return F.conv2d(x.permute(0, 3, 1, 2), weight, None, conv.stride, 1, 1, len(weight)).permute(0, 2, 3, 1)

        return norm(apply_to_map(convolve, x, size).unflatten(-1, (self.num_heads, -1))).flatten(-2)

    def attend_windows(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Pooled maps -> a map of the size of q."""
        _, H, W, _ = q.shape
        window, key_window = q.shape[1:3], k.shape[1:3]
        if self.window is not None:
            window, key_window = [(self.window // conv.stride[0], ) * 2 for conv in (self.pool_q, self.pool_k)]
        q, k, v = [pad_to_multiple(x, side)[0] for x, side in ((q, window), (k, key_window), (v, key_window))]
        parts = [split_windows(x, side).flatten(1, 2) for x, side in ((q, window), (k, key_window), (v, key_window))]
        out = self.attend(*parts, window, key_window).unflatten(1, window)
        return merge_windows(out, q.shape[1:3])[:, :H, :W]

    def attend(self, q: Tensor, k: Tensor, v: Tensor, size: Tuple[int, int], key_size: Tuple[int, int]) -> Tensor:
        """Tokens (batch, [1 +] H * W, dim) of windows or maps -> tokens."""
        q, k, v = [x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in (q, k, v)]
        return attention(*self.position(q, k, size, key_size), v, scale=1.)


def pooled(size: Tuple[int, int], conv: nn.Module) -> Tuple[int, int]:
    """Height and width after a 3 x 3 pooling."""
    return tuple(-(-side // conv.stride[0]) for side in size)


class MultiscaleBlock(nn.Module):
    """The block of MViTv2; where the width changes, its shortcut starts from the normed map.

    Args:
        in_dim: Channels of the input.
        dim: Channels of the result.
        attn: As `PoolingAttention`, whose queries may have a stride of 2.
        mlp: Feed-forward part.
        drop_path: Rate of stochastic depth.
    """

    def __init__(self, in_dim: int, dim: int, attn: PoolingAttention, mlp: nn.Module, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(in_dim, eps=EPS)
        self.attn = attn
        self.proj = nn.Linear(in_dim, dim) if in_dim != dim else None
        self.pool = nn.MaxPool2d(3, 2, 1) if attn.pool_q.stride[0] > 1 else None
        self.norm2 = nn.LayerNorm(dim, eps=EPS)
        self.mlp = mlp
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, size: Optional[Tuple[int, int]] = None) -> Tensor:
        """As `PoolingAttention`."""
        normed = self.norm1(x)
        if self.proj is not None:
            x = self.proj(normed)
        if self.pool is not None:
            x = apply_to_map(lambda x: conv_map(self.pool, x), x, size)
        x = x + self.drop_path(self.attn(normed, size))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class TokenStage(Stage):
    """A stage of tokens with a class token in front, (B, 1 + H * W, C), that go with their H and W."""

    def forward(self, x: Tuple[Tensor, Tuple[int, int]]) -> Tuple[Tensor, Tuple[int, int]]:
        tokens, size = x
        for block in self.blocks:
            tokens = self.run(block, tokens, size)
            size = pooled(size, block.attn.pool_q)
        return tokens, size


class Stem(nn.Module):
    """A convolution to a quarter of the resolution, (B, H, W, in_dim) -> (B, H', W', dim).

    Args:
        in_dim: Channels of the image.
        dim: Channels of the result.
        class_token: Return tokens with a class token in front, and H' and W', as `TokenStage` takes them.
    """

    def __init__(self, in_dim: int, dim: int, class_token: bool) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_dim, dim, 7, stride=4, padding=3)
        self.cls_token = None
        if class_token:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
            nn.init.trunc_normal_(self.cls_token, std=.02)

    def forward(self, x: Tensor):
        x = conv_map(self.proj, x)
        if self.cls_token is None:
            return x
        return torch.cat([self.cls_token.expand(len(x), -1, -1), x.flatten(1, 2)], 1), tuple(x.shape[1:3])


@MODELS.register_module()
class MViTv2(Backbone):
    """MViTv2; arguments and contract in `Backbone`.

    Variants with a class token have it with ``out_type='pooled'`` only. In detection the authors let biases decay.
    """

    family = 'mvit_v2'
    # Table 1 of the paper, and of L and H the settings of the dense configs.
    archs = {
        name: dict(dims=tuple(C * 2**i for i in range(4)), depths=depths,
                   num_heads=tuple(heads * 2**i for i in range(4)), mlp_ratio=4, class_token=name.endswith('_in21k'))
        for name, C, depths, heads in (
            ('tiny',         96, (1, 2, 5, 2),  1),
            ('small',        96, (1, 2, 11, 2), 1),
            ('base',         96, (2, 3, 16, 3), 1),
            ('base_in21k',   96, (2, 3, 16, 3), 1),
            ('large_in21k', 144, (2, 6, 36, 4), 2),
            ('huge_in21k',  192, (4, 8, 60, 8), 3),
        )
    }  # yapf: disable
    refused = {
        'large': (r'(^|\.)blocks\.43\.proj\.',
                  'it widens its channels in the last MLP of a stage, not in the first attention of the next. Its '
                  'authors define no maps of that, and their detectors start from large_in21k')
    }
    pooled_keys = (r'norm\.', r'patch_embed\.cls_token$')
    head_keys = {'head.projection.': 'head.fc.'}
    no_decay = ('rel_pos_h', 'rel_pos_w')

    def build_patch_embed(self) -> nn.Module:
        return Stem(self.in_channels, self.spec['dims'][0], self.has_class_token)

    def build_stage(self, i: int, drop_path: Sequence[float]) -> nn.Module:
        dims, num_heads, dim = self.spec['dims'], self.spec['num_heads'][i], self.spec['dims'][i]
        kv_stride = max(4 >> i, 1)
        blocks = []
        for j, rate in enumerate(drop_path):
            down = i > 0 and j == 0  # in windows of the stage before
            in_dim, stride, side = (dims[i - 1], 2, SIDE >> i - 1) if down else (dim, 1, SIDE >> i)
            table = max(side // stride, side // kv_stride)
            whole = i > 0 and j == len(drop_path) - 1
            if self.out_type == 'pooled':
                attn = PoolingAttention(in_dim, dim, num_heads, table, stride, kv_stride, None)
            else:
                wide = kv_stride * (2 if whole and i < 3 else 1)
                attn = PoolingAttention(in_dim, dim, num_heads, table, stride, wide, None if whole else side)
            blocks.append(MultiscaleBlock(in_dim, dim, attn, Mlp(dim, int(dim * self.spec['mlp_ratio'])), rate))
        return (TokenStage if self.has_class_token else Stage)(blocks, None, self.with_cp)

    @property
    def has_class_token(self) -> bool:
        return self.out_type == 'pooled' and self.spec['class_token']

    def build_norm(self, i: int) -> nn.Module:
        return nn.LayerNorm(self.spec['dims'][i], eps=EPS)

    def pool(self, x) -> Tensor:
        """The normed class token, or the mean of the normed map where there is none."""
        return self.norm(x[0][:, 0]) if self.has_class_token else super().pool(x)

    def init_module(self, module: nn.Module) -> None:
        """Tables of positions start from zeros in dense models, and are random in classifiers."""
        super().init_module(module)
        if isinstance(module, DecomposedPosition) and self.out_type == 'pooled':
            nn.init.trunc_normal_(module.rel_pos_h, std=.02)
            nn.init.trunc_normal_(module.rel_pos_w, std=.02)

    def no_weight_decay(self) -> Set[str]:
        """In classifiers there are none."""
        return set() if self.out_type == 'pooled' else super().no_weight_decay()

    @classmethod
    def layouts(cls, spec: dict) -> Dict[str, Sequence[tuple]]:
        """The authors and OpenMMLab number the blocks through all stages."""
        place = number_blocks(tuple(spec['depths']))
        return {whose: (place, *rules) for whose, rules in super().layouts(spec).items()}

    rename = (
        (r'\.(rel_pos_[hw])$', r'.position.\1'),
        (r'^cls_token$', 'patch_embed.cls_token'),
        (r'^scale(\d)_norm\.', lambda match: f'norm{int(match[1]) - 2}.'),
        (r'^head\.', None),
    )
    other_layouts = {
        "OpenMMLab's": (
            (r'^patch_embed\.projection\.', 'patch_embed.proj.'),
            (r'\.(rel_pos_[hw])$', r'.position.\1'),
            (r'^norm3\.', 'norm.'),  # it has those of other levels in the trunk
        ),
        "timm's": (
            (r'\.shortcut_proj_attn\.', '.proj.'),
            *rename,
        ),
    }
