"""ViT (Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale", ICLR 2021, arXiv
2010.11929), and its form for detection, ViTDet (Li et al., ECCV 2022, arXiv 2203.16527).

New in it: patches of an image are the words of a plain transformer. ViTDet attends inside windows in all but a few blocks.

Facts from timm@aa4b585 (Apache-2.0), whose layout AugReg's, DINO's and MAE's weights share, google-research/
vision_transformer@c6de1e5 (Apache-2.0), and for windows detectron2@02b5c4e (Apache-2.0). The authors classify only.
"""
from typing import Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from ..layers import (DecomposedPosition, Mlp, PreNormBlock, attention, merge_windows, normal_directions,
                      pad_to_multiple, softmax_estimate, split_windows)
from ..registry import MODELS
from .column import STRIDE, ColumnarBackbone, PatchConv, SelfAttention, TokenStem, quarters

GLOBAL_SIDE = 64
"""Rows, and columns, of ViTDet's tables for global attention: an image of 1024 pixels in patches of 16."""


class PositionedAttention(SelfAttention):
    """Attention with decomposed relative positions inside windows, or of all tokens (ViTDet).

    The map is padded at the bottom and the right. Padded tokens are zeros before the projections and take part in the
    softmax: published weights were trained so.

    Args:
        dim: Channels.
        num_heads: Heads.
        window: Side of a window in tokens; None for all tokens.
    """

    def __init__(self, dim: int, num_heads: int, window: Optional[int]) -> None:
        super().__init__(dim, num_heads)
        self.window = window
        self.position = DecomposedPosition(GLOBAL_SIDE if window is None else window, dim // num_heads)

    def forward(self, x: Tensor, size: Tuple[int, int]) -> Tensor:
        """Tokens (B, H * W, C) of maps of a size (H, W) -> the same."""
        x = x.unflatten(1, size)
        if self.window is None:
            return self.attend(x).flatten(1, 2)
        window = (self.window, self.window)
        padded, _, _ = pad_to_multiple(x, window)
        out = merge_windows(self.attend(split_windows(padded, window)), padded.shape[1:3])
        return out[:, :size[0], :size[1]].flatten(1, 2)

    def attend(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        size = tuple(x.shape[1:3])
        q, k, v = self.project(x.flatten(1, 2))
        q, k = self.position(q, k, size, size)
        return self.proj(attention(q, k, v, scale=1.)).view_as(x)


class PerformerAttention(SelfAttention):
    """Attention of all tokens to all, estimated at a cost that is linear in their number (Performer, arXiv 2009.14794).

    Args:
        dim: Channels.
        num_heads: Heads.
        features: Random features, the same of all heads; they are saved with the weights.
    """

    def __init__(self, dim: int, num_heads: int, features: int) -> None:
        super().__init__(dim, num_heads)
        self.register_buffer('directions', torch.empty(features, dim // num_heads))
        self.redraw()

    @torch.no_grad()
    def redraw(self) -> None:
        """Draws other random features, which makes another estimate of the same; a training loop may now and then."""
        self.directions.copy_(normal_directions(*self.directions.shape))

    def forward(self, x: Tensor, *context) -> Tensor:
        return self.proj(softmax_estimate(*self.project(x), self.directions))


@MODELS.register_module()
class VisionTransformer(ColumnarBackbone):
    """ViT; arguments and contract in `ColumnarBackbone` and `Backbone`, and some of its own.

    Global attention grows with the square of the tokens: of an 800 x 1344 image it takes half of ViT-B's arithmetic.

    Args:
        window: Side, in tokens, of the windows in which all but the ``global_blocks`` attend, with decomposed relative
            positions in all blocks; prefix tokens are left out then (ViTDet). None for attention of all tokens to all.
        global_blocks: Numbers, from 0, of the blocks that attend to all tokens in spite of a ``window``.
        attention: 'softmax', or 'performer', which estimates it with random features (FAVOR+): linear in the number of
            tokens, cheaper from about 2 ``random_features`` tokens on. Weights of a ViT load, but want training.
        random_features: Their number a head. `softmax_estimate` says how far from softmax attention they are.

    Raises:
        ValueError: A ``window`` without tokens or with ``out_type='pooled'``, ``global_blocks`` without a window, or of a
            number that no block has; an unknown ``attention``, 'performer' with a ``window``, or no ``random_features``.
    """

    family = 'vit'
    archs = {
        f'vit_{name}_patch16_{size}': dict(dims=(dim, ) * 4, depths=quarters(depth), num_heads=dim // 64, mlp_ratio=4,
                                           grid=size // STRIDE)
        for name, dim, depth in (('tiny', 192, 12), ('small', 384, 12), ('base', 768, 12), ('large', 1024, 24))
        for size in (224, 384)
    }
    options = dict(
        ColumnarBackbone.options, window=None, global_blocks=(), attention='softmax', random_features=256)
    new_keys = (*ColumnarBackbone.new_keys, r'stages\.\d+\.blocks\.\d+\.attn\.(position\.|directions$)')
    no_decay = ('pos_embed', 'cls_token')
    tokens: Sequence[str] = ('cls_token', )
    """What the authors put in front of the patches."""
    placed: Optional[int] = None
    """How many of these have a position; None for all."""

    @property
    def prefix(self) -> Sequence[str]:
        return self.tokens if self.window is None else ()

    def build_patch_embed(self) -> nn.Module:
        self._check(self.window is None or self.window >= 1, 'a window of at least one token', self.window)
        self._check(self.window is None or self.out_type == 'featmap',
                    "no window with out_type='pooled', since windows leave the class token out", self.window)
        known = ('softmax', 'performer') if self.window is None else ('softmax', )
        expected = f'attention, with window={self.window}, to be one of {known}'
        self._check(self.attention in known, expected, self.attention)
        self._check(self.random_features >= 1, 'random_features of at least 1', self.random_features)
        self._check(
            set(self.global_blocks) <= set(range(sum(self.spec['depths']) if self.window is not None else 0)),
            'global_blocks to be numbers of blocks, beside a window', self.global_blocks)
        dim, grid = self.spec['dims'][0], (self.spec['grid'], ) * 2
        return TokenStem(self.build_projection(), dim, grid, self.prefix, self.placed, self.antialias)

    def build_projection(self) -> nn.Module:
        """From the image to the map of the patches."""
        return PatchConv(self.in_channels, self.spec['dims'][0])

    def build_attention(self, number: int) -> nn.Module:
        dim, num_heads = self.spec['dims'][0], self.spec['num_heads']
        if self.attention == 'performer':
            return PerformerAttention(dim, num_heads, self.random_features)
        if self.window is None:
            return SelfAttention(dim, num_heads)
        return PositionedAttention(dim, num_heads, None if number in self.global_blocks else self.window)

    def build_block(self, number: int, drop_path: float) -> nn.Module:
        dim = self.spec['dims'][0]
        mlp = Mlp(dim, int(dim * self.spec['mlp_ratio']))
        return PreNormBlock(dim, self.build_attention(number), mlp, drop_path, self.eps)

    def leaves_out(self, name: str) -> bool:
        """Prefix tokens too, where there are windows."""
        return super().leaves_out(name) or name in {f'patch_embed.{token}' for token in self.tokens}

    rename = (
        (r'/', None),  # what files of Flax hold besides the parameters
        (r'^net\.', ''),  # detectron2's, whose pyramid is the neck, too
        (r'^simfp_2\.([013])\.', r'resample0.\1.'),
        (r'^simfp_3\.0\.', 'resample1.'),
        (r'^simfp_', None),
        (r'\.attn\.(rel_pos_[hw])$', r'.attn.position.\1'),
        (r'^(cls_token|pos_embed)$', r'patch_embed.\1'),
        (r'^norm\.', 'stages.3.norm.'),
        (r'^(head|fc_norm|pre_logits|mask_token$|decoder_)', None),
    )
    other_layouts = {
        "mmseg's and mmpretrain's": (
            (r'^layers\.', 'blocks.'),
            (r'^ln1\.', 'norm.'),
            (r'\.ln(\d)\.', r'.norm\1.'),
            (r'^patch_embed\.projection\.', 'patch_embed.proj.'),
            (r'\.attn\.attn\.in_proj_', '.attn.qkv.'),
            (r'\.attn\.attn\.out_proj\.', '.attn.proj.'),
            (r'\.ffn\.layers\.0\.0\.', '.mlp.fc1.'),
            (r'\.ffn\.layers\.1\.', '.mlp.fc2.'),
            *rename,
        )
    }
