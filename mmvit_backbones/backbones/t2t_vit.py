"""T2T-ViT (Yuan et al., "Tokens-to-Token ViT: Training Vision Transformers from Scratch on ImageNet", ICCV 2021, arXiv
2101.11986).

New in it: tokens are made in three steps. Patches overlap ("soft split"), and between two splits a narrow attention
block, linear in the number of tokens (Performer) in most variants, lets them see each other.

Facts from yitu-opensource/T2T-ViT@0f63dc9 (Clear BSD), classification on square images only; rectangles and the
pyramid are this package's own. Nothing else differs in the mathematics.
"""
from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import Mlp, PreNormBlock, attention, no_autocast, random_directions, random_feature_attention, widen
from ..registry import MODELS
from .column import ColumnarBackbone, SelfAttention, TokenStem, quarters

TOKEN_DIM = 64
FEATURES = 32
"""Of the Performer's random-feature map."""


def fit_channels(self: nn.Module, name: str, value: Tensor) -> Optional[Tensor]:
    """A parameter over RGB patches, (..., 3 * k * k), for other image channels: repeated, or the mean for one.

    None for what is no such parameter.
    """
    own = getattr(self, name)
    if value.shape[-1] % 3 or value.shape[-1] == 0 or own.shape[-1] % (value.shape[-1] // 3):
        return None
    value = value.unflatten(-1, (3, -1))
    channels = own.shape[-1] // value.shape[-1]
    if channels == 1:
        value = value.mean(-2, keepdim=True)
    repeated = value[..., torch.arange(channels) % value.shape[-2], :].flatten(-2)
    return repeated * (3 / channels) if isinstance(self, nn.Linear) else repeated


class PatchNorm(nn.LayerNorm):
    """The norm that belongs to a `SoftSplit`."""

    resize = fit_channels


class SoftSplit(nn.Linear):
    """A linear layer on the overlapping k x k patches of a map, without copying the patches out.

    That is a convolution, whose weights are kept as those of a linear layer on (channel, row, column).

    Args:
        in_dim: Channels of the map.
        dim: Channels of the result.
        kernel_size, stride, padding: Of the patches, in positions of the map.
        bias: Whether there is a bias.
    """

    def __init__(self, in_dim: int, dim: int, kernel_size: int, stride: int, padding: int, bias: bool = True) -> None:
        super().__init__(in_dim * kernel_size**2, dim, bias)
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding

    resize = fit_channels

    def forward(self, x: Tensor, norm: Optional[PatchNorm] = None) -> Tensor:
        """(B, H, W, in_dim) -> (B, H', W', dim)

        Args:
            x: Map.
            norm: Normalises each patch before the linear layer; in float32 under autocast.
        """
        if norm is None:
            return self.convolve(x, self.weight, self.bias)
        # A patch minus its mean is the mean of each position's channels minus the patch's, plus what the channels
        # differ from it. Of the former the patches are copied out, the latter is convolved; neither of the two holds
        # the level of the patch, which would leave few digits of a flat one. The norm's gain goes into the weights.
        with no_autocast(x):
            wide, k = widen(x), self.kernel_size
            level = wide.mean(-1, keepdim=True)
            rest = wide - level
            levels = F.unfold(level.permute(0, 3, 1, 2), k, 1, self.padding, self.stride).transpose(1, 2)
            levels = levels - levels.mean(-1, keepdim=True)  # (B, H' * W', k * k)
            weight = widen(self.weight * norm.weight).unflatten(1, (-1, k * k))  # (dim, in_dim, k * k)
            out = self.convolve(rest, (weight - weight.mean(1, keepdim=True)).flatten(1))
            weight = weight.sum(1)
            weight = weight - weight.mean(1, keepdim=True)  # what rounding left of the mean does not count
            out = torch.addmm(out.flatten(0, 2), levels.flatten(0, 1), weight.t()).view(out.shape)
            var = F.avg_pool2d(rest.square().mean(-1).unsqueeze(1), k, self.stride, self.padding)
            var = var.permute(0, 2, 3, 1) + levels.square().mean(-1).view(*out.shape[:3], 1)
            shift = self.weight @ norm.bias
            if self.bias is not None:
                shift = shift + self.bias
            return torch.addcmul(shift, out, (var + norm.eps).rsqrt()).to(x.dtype)

    def convolve(self, x: Tensor, weight: Tensor, bias: Optional[Tensor] = None) -> Tensor:
        weight = weight.unflatten(1, (-1, self.kernel_size, self.kernel_size))
        return F.conv2d(x.permute(0, 3, 1, 2), weight, bias, self.stride, self.padding).permute(0, 2, 3, 1)


class TokenBlock(nn.Module):
    """Soft split, attention with one head, MLP; the first residual starts from the values, since the width changes.

    Args:
        in_dim: Channels of the map that is split.
        kernel_size, stride, padding: Of the split.
    """

    qkv_bias: bool
    dropout: float

    def __init__(self, in_dim: int, kernel_size: int, stride: int, padding: int) -> None:
        super().__init__()
        self.norm1 = PatchNorm(in_dim * kernel_size**2)
        self.qkv = SoftSplit(in_dim, 3 * TOKEN_DIM, kernel_size, stride, padding, self.qkv_bias)
        self.proj = nn.Linear(TOKEN_DIM, TOKEN_DIM)
        self.norm2 = nn.LayerNorm(TOKEN_DIM)
        self.mlp = Mlp(TOKEN_DIM, TOKEN_DIM)
        self.drop = nn.Dropout(self.dropout)

    def attend(self, qkv: Tensor) -> Tuple[Tensor, Tensor]:
        """(B, N, 192) -> values and the result of attention, each (B, N, 64)"""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, in_dim) -> (B, H', W', 64)"""
        qkv = self.qkv(x, self.norm1)
        v, out = self.attend(qkv.flatten(1, 2))
        x = v + self.drop(self.proj(out))
        x = x + self.drop(self.mlp(self.norm2(x)))
        return x.view(*qkv.shape[:3], TOKEN_DIM)


class Performer(TokenBlock):
    """A token block with the attention of Performers.

    It drops activations in training whatever else is set, as the authors trained it.
    """

    qkv_bias = True
    dropout = .1

    def __init__(self, *args: int) -> None:
        super().__init__(*args)
        self.register_buffer('w', random_directions(FEATURES, TOKEN_DIM))

    def attend(self, qkv: Tensor) -> Tuple[Tensor, Tensor]:
        k, q, v = qkv.chunk(3, dim=-1)  # in this order
        return v, random_feature_attention(q, k, v, self.w)


class Transformer(TokenBlock):
    """A token block with softmax attention, whose scale comes from the width of the patches."""

    qkv_bias = False
    dropout = 0.

    def attend(self, qkv: Tensor) -> Tuple[Tensor, Tensor]:
        q, k, v = qkv.unsqueeze(1).chunk(3, dim=-1)
        return v.squeeze(1), attention(q, k, v, scale=self.qkv.in_features**-.5)


TOKEN_BLOCKS = dict(performer=Performer, transformer=Transformer)


def sinusoid(length: int, dim: int) -> Tensor:
    """Fixed positions of a sequence, (1, length, dim): sines in the even channels, cosines in the odd ones."""
    rate = 10000**(-2 * (torch.arange(dim, dtype=torch.float64) // 2) / dim)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * rate
    return torch.where(torch.arange(dim) % 2 == 0, angle.sin(), angle.cos())[None].float()


class TokensToToken(TokenStem):
    """The stem: an attention block at stride 4, one at stride 8, and the tokens of the column, with fixed positions.

    Args:
        blocks: The class of the two blocks.
        in_dim: Channels of the image.
        dim: Channels of the column.
        grid: As for `TokenStem`.

    Returns:
        Tokens, their height and width, and the maps behind the two blocks.
    """

    def __init__(self, blocks: type, in_dim: int, dim: int, grid: Tuple[int, int]) -> None:
        super().__init__(SoftSplit(TOKEN_DIM, dim, 3, 2, 1), dim, grid)
        self.attention1 = blocks(in_dim, 7, 4, 2)
        self.attention2 = blocks(TOKEN_DIM, 3, 2, 1)

    def set_positions(self, grid: Tuple[int, int], dim: int) -> None:
        self.register_buffer('pos_embed', sinusoid(1 + grid[0] * grid[1], dim))

    def forward(self, x: Tensor) -> Tuple[Tensor, Tuple[int, int], Tensor, Tensor]:
        first = self.attention1(x)
        second = self.attention2(first)
        return (*super().forward(second), first, second)


@MODELS.register_module()
class T2TViT(ColumnarBackbone):
    """T2T-ViT; arguments and contract in `ColumnarBackbone` and `Backbone`.

    Of its own, ``pyramid='own'``, it has the tokens after the first and the second attention block (strides 4 and 8, 64
    channels, each with a new norm); those after the last block and its norm, and a 2 x 2 max pooling of these, are the
    other two levels.
    """

    family = 't2t_vit'
    # The variants of the authors' code.
    archs = {
        name: dict(dims=(dim, ) * 4, depths=quarters(depth), num_heads=heads, mlp_ratio=ratio, tokens=tokens, grid=grid)
        for name, dim, depth, heads, ratio, tokens, grid in (
            ('t2t_vit_7',          256,  7,  4, 2, 'performer',   14),
            ('t2t_vit_10',         256, 10,  4, 2, 'performer',   14),
            ('t2t_vit_12',         256, 12,  4, 2, 'performer',   14),
            ('t2t_vit_14',         384, 14,  6, 3, 'performer',   14),
            ('t2t_vit_14_384',     384, 14,  6, 3, 'performer',   24),
            ('t2t_vit_14_resnext', 384, 14, 32, 3, 'performer',   14),
            ('t2t_vit_14_wide',    768,  4, 12, 3, 'performer',   14),
            ('t2t_vit_19',         448, 19,  7, 3, 'performer',   14),
            ('t2t_vit_24',         512, 24,  8, 3, 'performer',   14),
            ('t2t_vit_t_14',       384, 14,  6, 3, 'transformer', 14),
            ('t2t_vit_t_19',       448, 19,  7, 3, 'transformer', 14),
            ('t2t_vit_t_24',       512, 24,  8, 3, 'transformer', 14),
        )
    }  # yapf: disable
    options = dict(ColumnarBackbone.options, pyramid='own')
    pyramids = ('own', *ColumnarBackbone.pyramids)
    stem_dims = (TOKEN_DIM, TOKEN_DIM)
    eps = 1e-5
    no_decay = ('cls_token', )

    def build_patch_embed(self) -> nn.Module:
        spec = self.spec
        return TokensToToken(TOKEN_BLOCKS[spec['tokens']], self.in_channels, spec['dims'][0], (spec['grid'], ) * 2)

    def build_block(self, number: int, drop_path: float) -> nn.Module:
        dim = self.spec['dims'][0]
        attn = SelfAttention(dim, self.spec['num_heads'], qkv_bias=False)
        return PreNormBlock(dim, attn, Mlp(dim, self.spec['mlp_ratio'] * dim), drop_path)

    rename = (
        (r'^tokens_to_token\.project\.', 'patch_embed.proj.'),
        (r'^tokens_to_token\.', 'patch_embed.'),
        (r'^(patch_embed\.attention\d)\.attn\.', r'\1.'),
        (r'\.kqv\.', '.qkv.'),
        (r'\.mlp\.0\.', '.mlp.fc1.'),
        (r'\.mlp\.2\.', '.mlp.fc2.'),
        (r'^(cls_token|pos_embed)$', r'patch_embed.\1'),
        (r'^norm\.', 'stages.3.norm.'),
        (r'^head\.', None),
    )
    other_layouts = {
        "OpenMMLab's": (
            (r'^encoder\.(\d+\.)', r'blocks.\1'),
            (r'\.ln(\d)\.', r'.norm\1.'),
            (r'\.ffn\.layers\.0\.0\.', '.mlp.fc1.'),
            (r'\.ffn\.layers\.1\.', '.mlp.fc2.'),
            *rename,
        )
    }
