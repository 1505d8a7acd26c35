"""LocalViT (Li et al., "LocalViT: Bringing Locality to Vision Transformers", arXiv 2104.05707; IROS 2023).

New in it: the MLP of a block is an inverted residual on the map, with a depth-wise 3x3 convolution in the middle. It is
put into five other papers' transformers.

Facts from ofsoundof/LocalViT@f497260 (MIT), which classifies only, images of one size; what others need is as in the
transformer at hand. The norms of levels, and pyramids of columns, are this package's own.
"""
from typing import Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import DropPath, normed_conv
from ..registry import MODELS
from .base import Stage
from .column import ColumnarBackbone, SelfAttention, quarters
from .pvt import BLOCK_EPS, PyramidVisionTransformer
from .swin import SwinTransformer
from .t2t_vit import TOKEN_DIM, Performer, T2TViT, TokensToToken
from .tnt import TNT, SplitAttention


class Gate(nn.Module):
    """A factor for each channel of a map, read from the mean of the whole map, padding included (SENet).

    Args:
        dim: Channels.
        hidden_dim: Channels between the two linears.
    """

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)"""
        gate = F.hardsigmoid(self.fc2(self.fc1(x.mean((2, 3))).relu()))
        return x * gate[:, :, None, None]


class LocalityFeedForward(nn.Module):
    """x plus an inverted residual of x, (B, H, W, C) -> (B, H, W, C) (section 3.2).

    There is neither a norm before it nor stochastic depth.

    Args:
        dim: Channels.
        hidden_dim: Channels of the depth-wise convolution.
        gate_dim: Inner channels of the `Gate` behind it; None for none.
    """

    def __init__(self, dim: int, hidden_dim: int, gate_dim: Optional[int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(dim, hidden_dim, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(hidden_dim)
        self.dwconv = nn.Conv2d(hidden_dim, hidden_dim, 3, padding=1, groups=hidden_dim, bias=False)
        self.norm2 = nn.BatchNorm2d(hidden_dim)
        self.gate = nn.Identity() if gate_dim is None else Gate(hidden_dim, gate_dim)
        self.conv2 = nn.Conv2d(hidden_dim, dim, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        out = F.hardswish(normed_conv(self.conv1, self.norm1, x.permute(0, 3, 1, 2)))
        out = self.gate(F.hardswish(normed_conv(self.dwconv, self.norm2, out)))
        return x + normed_conv(self.conv2, self.norm3, out).permute(0, 2, 3, 1)


class LocalBlock(nn.Module):
    """x + attn(norm(x)), with stochastic depth, then a `LocalityFeedForward`.

    Args:
        dim: Channels.
        attn: Token mixer, from map to map.
        hidden_dim, gate_dim: Of the feed-forward part.
        drop_path: Rate of stochastic depth.
        eps: Of the LayerNorm.
    """

    def __init__(self,
                 dim: int,
                 attn: nn.Module,
                 hidden_dim: int,
                 gate_dim: int,
                 drop_path: float,
                 eps: float = 1e-5) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = attn
        self.drop_path = DropPath(drop_path)
        self.mlp = LocalityFeedForward(dim, hidden_dim, gate_dim)

    def attend(self, x: Tensor, *context) -> Tensor:
        return x + self.drop_path(self.attn(self.norm1(x), *context))

    def forward(self, x: Tensor, *context) -> Tensor:
        """A map to a map; ``context`` is what the attention needs besides."""
        return self.mlp(self.attend(x, *context))


class LocalTokenBlock(LocalBlock):
    """The same of tokens: the class token in front passes the feed-forward part by."""

    def forward(self, x: Tensor, size: Tuple[int, int]) -> Tensor:
        """Tokens (*, 1 + H * W, C) and (H, W) -> tokens"""
        x = self.attend(x, size)
        cls_token, x = x[..., :1, :], x[..., 1:, :]
        out = self.mlp(x.reshape(-1, *size, x.shape[-1]))
        return torch.cat([cls_token, out.reshape(x.shape)], dim=-2)


# The authors' names of the parts of a `LocalityFeedForward`.
_PARTS = tuple((rf'\.conv\.conv\.{number}\.', f'.mlp.{part}.') for number, part in (
    ('0', 'conv1'), ('1', 'norm1'), ('3', 'dwconv'), ('4', 'norm2'), (r'6\.fc\.0', 'gate.fc1'), (r'6\.fc\.2', 'gate.fc2'),
    ('7', 'conv2'), ('8', 'norm3')))  # yapf: disable


@MODELS.register_module()
class LocalViT(ColumnarBackbone):
    """LocalViT on DeiT; arguments and contract in `ColumnarBackbone` and `Backbone`."""

    family = 'localvit'
    archs = {
        name: dict(dims=(dim, ) * 4, depths=quarters(12), num_heads=dim // 48, mlp_ratio=4, gate_dim=gate, grid=14)
        for name, dim, gate in (
            ('localvit_t',     192, 4),
            ('localvit_t_se4', 192, 192),
            ('localvit_s',     384, 4),
        )
    }  # yapf: disable
    no_decay = ('cls_token', 'pos_embed')

    def build_block(self, number: int, drop_path: float) -> nn.Module:
        spec, dim = self.spec, self.spec['dims'][0]
        attn = SelfAttention(dim, spec['num_heads'])
        return LocalTokenBlock(dim, attn, int(dim * spec['mlp_ratio']), spec['gate_dim'], drop_path, self.eps)

    rename = (
        (r'^(cls_token|pos_embed)$', r'patch_embed.\1'),
        (r'^norm\.', 'stages.3.norm.'),
        (r'^head\.', None),
        *_PARTS,
    )


class LocalPerformer(Performer):
    """The token block of T2T-ViT with a `LocalityFeedForward` as wide as the map, without a gate."""

    def __init__(self, *args: int) -> None:
        super().__init__(*args)
        self.norm2 = None
        self.mlp = LocalityFeedForward(TOKEN_DIM, TOKEN_DIM, None)

    def feed_forward(self, x: Tensor) -> Tensor:
        return self.mlp(x)


@MODELS.register_module()
class LocalViTT2T(T2TViT):
    """LocalViT on T2T-ViT; arguments and contract in `T2TViT`, `ColumnarBackbone` and `Backbone`."""

    family = 'localvit'
    archs = dict(localvit_t2t=dict(dims=(256, ) * 4, depths=quarters(7), num_heads=4, mlp_ratio=2, gate_dim=4, grid=14))

    def build_patch_embed(self) -> nn.Module:
        return TokensToToken(LocalPerformer, self.in_channels, self.spec['dims'][0], (self.spec['grid'], ) * 2)

    def build_block(self, number: int, drop_path: float) -> nn.Module:
        spec, dim = self.spec, self.spec['dims'][0]
        attn = SelfAttention(dim, spec['num_heads'], qkv_bias=False)
        return LocalTokenBlock(dim, attn, int(dim * spec['mlp_ratio']), spec['gate_dim'], drop_path)

    rename = (
        (r'\.attention\d\.norm2\.', None),  # read by nothing
        (r'(\.attention\d\.conv\.conv\.)7\.', r'\g<1>8.'),  # no gate
        (r'(\.attention\d\.conv\.conv\.)6\.', r'\g<1>7.'),
        *T2TViT.rename,
        *_PARTS,
    )
    other_layouts = {}


@MODELS.register_module()
class LocalViTTNT(TNT):
    """LocalViT on the earlier implementation of TNT; arguments and contract in `ColumnarBackbone` and `Backbone`.

    The words keep their MLP. Images are normalised with ImageNet's mean and deviation.
    """

    family = 'localvit'
    archs = dict(localvit_tnt=dict(TNT.archs['tnt_ti'], inner_heads=3, form='legacy', gate_dim=4))

    def build_outer(self, drop_path: float) -> nn.Module:
        spec, dim = self.spec, self.spec['dims'][0]
        attn = SplitAttention(dim, spec['num_heads'])
        return LocalTokenBlock(dim, attn, int(dim * spec['mlp_ratio']), spec['gate_dim'], drop_path)

    rename = (
        (r'^(blocks\.\d+\.)conv\.', r'\1outer.conv.'),
        *_PARTS,
        *TNT.other_layouts["timm's"],
    )
    other_layouts = {}


@MODELS.register_module()
class LocalViTPVT(PyramidVisionTransformer):
    """LocalViT on PVT; arguments and contract in `Backbone`. Levels are not normalised, so there are no norms.

    The last stage has a class token, which the level leaves out: its tokens attend to it.
    """

    family = 'localvit'
    archs = dict(localvit_pvt=dict(PyramidVisionTransformer.archs['tiny'], gate_dims=(8, 8, 4, 4)))
    pooled_keys = (r'norm\.', )

    def build_block(self, i: int, attn: nn.Module, drop_path: float) -> nn.Module:
        spec, dim = self.spec, self.spec['dims'][i]
        block = LocalTokenBlock if self.has_class_token(i) else LocalBlock
        return block(dim, attn, int(dim * spec['mlp_ratios'][i]), spec['gate_dims'][i], drop_path, BLOCK_EPS)

    def has_class_token(self, i: int) -> bool:
        return i == len(self.spec['depths']) - 1

    def level(self, x) -> Tensor:
        if isinstance(x, Tensor):
            return x
        tokens, size = x
        return tokens[:, 0, 1:].unflatten(1, size)

    rename = (*PyramidVisionTransformer.rename, *_PARTS)
    other_layouts = {}


@MODELS.register_module()
class LocalViTSwin(SwinTransformer):
    """LocalViT on Swin Transformer; arguments and contract in `Backbone`."""

    family = 'localvit'
    archs = dict(localvit_swin=dict(SwinTransformer.archs['tiny'], gate_dim=16))

    def build_stage(self, i: int, drop_path: Sequence[float]) -> Stage:
        """As the authors' classifier: where a window covers the height or the width of the map, none is shifted."""
        stage = super().build_stage(i, drop_path)
        stage.shift_always = False
        return stage

    def build_block(self, i: int, attn: nn.Module, drop_path: float) -> nn.Module:
        dim = self.spec['dims'][i]
        return LocalBlock(dim, attn, int(dim * self.spec['mlp_ratio']), self.spec['gate_dim'], drop_path)

    rename = (*SwinTransformer.rename, *_PARTS)
    other_layouts = {}
