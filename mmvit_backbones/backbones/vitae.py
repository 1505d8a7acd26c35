"""ViTAE (Xu et al., "ViTAE: Vision Transformer Advanced by Exploring Intrinsic Inductive Bias", NeurIPS 2021, arXiv
2106.03348). B, L and H are of Zhang et al., IJCV 2023, arXiv 2202.10108.

New in it: convolutions stand beside the attention in all cells (locality), and the steps down see each place at several
scales, by dilated convolutions. B, L and H have a patch embedding in place of the steps.

Facts from ViTAE-Transformer/ViTAE-Transformer@aebf1d7 (no licence), classification on square images only. Rectangles
and the pyramid are this package's own, and so is what happens to images of other sizes than multiples of 16: they are
zero-padded at the bottom and the right to multiples of 4, and the sizes of the other maps are what convolutions make of
them, rounded up. Nothing else differs in the mathematics. The paper's ViTAE-S-Stage for detection is not published.
"""
from typing import List, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import (Mlp, NormedConvs, PreNormBlock, conv_map, pad_to_multiple, random_directions,
                      random_feature_attention)
from ..registry import MODELS
from .column import ColumnarBackbone, SelfAttention, TokenStem, quarters

CELL_EPS = 1e-6
"""Of the LayerNorms in normal cells. Those of reduction cells have 1e-5."""
WIDTH = 64
"""Channels of each dilated convolution on the way to strides 4 and 8."""
DROPOUT = .1
"""Of the reduction cells, whatever else is set, as the authors trained them."""


class DilatedConvs(nn.ModuleList):
    """A step down that sees each place at several scales: dilated convolutions, side by side in the result, GELU (PRM,
    section 3.2).

    Args:
        in_dim: Channels of the input.
        width: Channels of each convolution.
        kernel_size, stride: Of the convolutions.
        dilations: Of each.
    """

    def __init__(self, in_dim: int, width: int, kernel_size: int, stride: int, dilations: Sequence[int]) -> None:
        super().__init__(
            nn.Conv2d(
                in_dim, width, kernel_size, stride, ((kernel_size - 1) * dilation + 2 - stride) // 2, dilation=dilation)
            for dilation in dilations)
        self.stride = stride
        self.dim = width * len(dilations)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, in_dim), multiples of the stride -> (B, H / stride, W / stride, dim)"""
        return F.gelu(torch.cat([conv_map(conv, x) for conv in self], -1))


class ParallelConvs(NormedConvs):
    """The branch beside the attention: 3x3 convolutions with SiLUs between them (PCM, section 3.2).

    Args:
        dims: Channels of the input, and of each convolution's result.
        groups: Of the convolutions.
        norms: Behind which of the convolutions a batch norm stands.
        last_act: Whether a SiLU ends the branch.
        strides: Of the convolutions.
    """

    def __init__(self,
                 dims: Sequence[int],
                 groups: int,
                 norms: Sequence[bool],
                 last_act: bool,
                 strides: Sequence[int] = (1, 1, 1)) -> None:
        layers: List[nn.Module] = []
        for in_dim, dim, norm, stride in zip(dims, dims[1:], norms, strides):
            layers.append(nn.Conv2d(in_dim, dim, 3, stride, 1, groups=groups))
            layers += [nn.BatchNorm2d(dim)] if norm else []
            layers.append(nn.SiLU(inplace=True))
        super().__init__(*(layers if last_act else layers[:-1]))

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, dims[0]) -> (B, H', W', dims[-1])"""
        return conv_map(super().forward, x)


class ReductionCell(nn.Module):
    """A step down: dilated convolutions, whose result goes through attention, and convolutions beside both; then an MLP
    (section 3.2). A residual around the attention is the attention's own.

    Args:
        dim: Channels of the result.
        scales: The dilated convolutions.
        attn: From their channels to ``dim``.
        convs: From the input to ``dim`` channels.
        mlp: Feed-forward part, from map to map.
    """

    def __init__(self, dim: int, scales: DilatedConvs, attn: nn.Module, convs: nn.Module, mlp: nn.Module) -> None:
        super().__init__()
        self.scales = scales
        self.norm1 = nn.LayerNorm(scales.dim)
        self.attn = attn
        self.convs = convs
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = mlp

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, in_dim) -> (B, H / stride, W / stride, dim), rounded up"""
        x, _, _ = pad_to_multiple(x, (self.scales.stride, ) * 2)
        x = self.attn(self.norm1(self.scales(x))) + self.convs(x)
        return x + self.mlp(self.norm2(x))


class NormalCell(PreNormBlock):
    """A block with convolutions beside the attention, which see its input without the norm (section 3.2).

    Args:
        dim: Channels.
        attn, mlp, drop_path: As `PreNormBlock`.
        convs: From what the block takes to the same.
    """

    def __init__(self, dim: int, attn: nn.Module, convs: nn.Module, mlp: nn.Module, drop_path: float) -> None:
        super().__init__(dim, attn, mlp, drop_path, CELL_EPS)
        self.convs = convs

    def forward(self, x: Tensor, *context) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x), *context)) + self.drop_path(self.convs(x, *context))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class Performer(nn.Module):
    """Attention with one head and random features; its residual starts from the values, since the width changes.

    Args:
        in_dim: Channels of the input.
        dim: Channels of the result.
    """

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(in_dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.drop = nn.Dropout(DROPOUT)
        self.register_buffer('w', random_directions(dim // 2, dim))

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, in_dim) -> (B, H, W, dim)"""
        k, q, v = self.qkv(x.flatten(1, 2)).chunk(3, dim=-1)  # in this order
        out = v + self.drop(self.proj(random_feature_attention(q, k, v, self.w)))
        return out.unflatten(1, x.shape[1:3])


class DroppedMlp(Mlp):
    """An MLP whose result is dropped in part."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__(dim, hidden_dim)
        self.drop = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(super().forward(x))


class TokenConvs(ParallelConvs):
    """The branch beside the attention of tokens; prefix tokens get nothing from it."""

    def forward(self, x: Tensor, size: Tuple[int, int]) -> Tensor:
        """Tokens (B, prefix + H * W, C) and (H, W) -> the same shape."""
        prefix = x.shape[1] - size[0] * size[1]
        out = super().forward(x[:, prefix:].unflatten(1, size)).flatten(1, 2)
        return F.pad(out, (0, 0, prefix, 0)) if prefix else out


class ReductionStem(TokenStem):
    """The steps down: two cells, of strides 4 and 8, and dilated convolutions that make the tokens of the column.

    Args:
        in_dim: Channels of the image.
        dims: Channels of the cells' results.
        dim: Channels of the column.

    Returns:
        Tokens, their height and width, and the maps behind the two cells.
    """

    def __init__(self, in_dim: int, dims: Sequence[int], dim: int) -> None:
        super().__init__(DilatedConvs(dims[1], dim // 2, 3, 2, (1, 2)), dim, None, ())
        self.reduction1 = self.build_cell(in_dim, dims[0], 7, 4, (1, 2, 3, 4))
        self.reduction2 = self.build_cell(dims[0], dims[1], 3, 2, (1, 2, 3))

    def build_cell(self, in_dim: int, dim: int, kernel_size: int, stride: int, dilations: Sequence[int]) -> nn.Module:
        scales = DilatedConvs(in_dim, WIDTH, kernel_size, stride, dilations)
        convs = ParallelConvs((in_dim, WIDTH, WIDTH, dim), 1, (False, True, False), True, (2, stride // 2, 1))
        return ReductionCell(dim, scales, Performer(scales.dim, dim), convs, DroppedMlp(dim, dim))

    def forward(self, x: Tensor) -> Tuple[Tensor, Tuple[int, int], Tensor, Tensor]:
        first = self.reduction1(x)
        second = self.reduction2(first)
        return (*super().forward(second), first, second)


@MODELS.register_module()
class ViTAE(ColumnarBackbone):
    """ViTAE; arguments and contract in `ColumnarBackbone` and `Backbone`.

    Of its own, ``pyramid='own'``, all but B, L and H have the maps of the reduction cells (strides 4 and 8); the last
    map, and a 2 x 2 max pooling of it, are the other two levels. No map of the authors' has a norm behind it: each level
    of 'own' and 'taps' has a new one, and there is none elsewhere.
    """

    family = 'vitae'
    # The authors' code; their paper has 13.2 M parameters for 13m, which a ratio of 3 would give, and these have 10.8 M.
    archs = {
        name: dict(dims=(dim, ) * 4, depths=quarters(depth), num_heads=heads, mlp_ratio=ratio, groups=groups,
                   stem_dims=stem_dims, grid=14)
        for name, dim, depth, heads, ratio, groups, stem_dims in (
            ('vitae_t',    256,  7,  4, 2,  64, (64, 64)),
            ('vitae_6m',   256, 10,  4, 2,  64, (64, 64)),
            ('vitae_13m',  320, 11,  5, 2,  64, (64, 64)),
            ('vitae_s',    384, 14,  6, 3,  96, (96, 192)),
            ('vitae_b',    768, 12, 12, 4, 192, ()),
            ('vitae_l',   1024, 24, 16, 4, 256, ()),
            ('vitae_h',   1280, 32, 16, 4, 320, ()),
        )
    }  # yapf: disable
    pyramids = ('own', *ColumnarBackbone.pyramids)
    no_decay = ('pos_embed', 'cls_token')

    @property
    def stem_dims(self) -> Sequence[int]:
        """Those of the reduction cells; () stands for patches with positions and a class token."""
        return self.spec['stem_dims']

    @property
    def prefix(self) -> Sequence[str]:
        return () if self.stem_dims else ('cls_token', )

    @property
    def pooled_norms(self) -> Optional[str]:
        return None if self.stem_dims else 'last'

    def levels(self, out_indices: Sequence[int]) -> Sequence[int]:
        self._check(self.stem_dims or self.pyramid != 'own', 'another pyramid, since it has no maps of strides 4 and 8',
                    self.pyramid)
        return super().levels(out_indices)

    def build_patch_embed(self) -> nn.Module:
        if self.stem_dims:
            return ReductionStem(self.in_channels, self.stem_dims, self.spec['dims'][0])
        return super().build_patch_embed()

    def build_block(self, number: int, drop_path: float) -> nn.Module:
        dim, groups = self.spec['dims'][0], self.spec['groups']
        hidden_dim = int(dim * self.spec['mlp_ratio'])
        if self.stem_dims:
            convs = TokenConvs((dim, hidden_dim, dim, dim), groups, (True, True, False), True)
        else:
            convs = TokenConvs((dim, hidden_dim, dim), groups, (True, False), False)
        return NormalCell(dim, SelfAttention(dim, self.spec['num_heads']), convs, Mlp(dim, hidden_dim), drop_path)

    def build_last_norm(self) -> None:
        return None

    def build_norm(self, i: int) -> nn.Module:
        """A new norm of level i; that of the classifier, which stands behind the pooling."""
        if self.out_type == 'pooled' or self.pyramid in ('own', 'taps'):
            return nn.LayerNorm(self.level_shape(i)[0], eps=self.eps)
        return None

    def pool(self, x: tuple) -> Tensor:
        x = self.level(x).mean((1, 2))
        return x if self.norms is None else self.norm(x)

    def init_module(self, module: nn.Module) -> None:
        super().init_module(module)
        if isinstance(module, TokenStem):
            for value in module.parameters(recurse=False):
                nn.init.zeros_(value)

    rename = (
        (r'^head\.', None),
        (r'^fc_norm\.', 'norm.'),
        (r'^layers\.0\.RC\.(cls_token$|pos_embed$|PRM\.proj\.)', r'patch_embed.\1'),
        (r'^patch_embed\.PRM\.', 'patch_embed.'),
        (r'^layers\.2\.RC\.PRM\.convs\.(\d)\.0\.', r'patch_embed.proj.\1.'),
        (r'^layers\.0\.RC\.', 'patch_embed.reduction1.'),
        (r'^layers\.1\.RC\.', 'patch_embed.reduction2.'),
        (r'^(patch_embed\.reduction\d\.)attn\.(norm\d|mlp)\.', r'\1\2.'),
        (r'\.kqv\.', '.qkv.'),
        (r'\.mlp\.0\.', '.mlp.fc1.'),
        (r'\.mlp\.2\.', '.mlp.fc2.'),
        (r'^layers\.2\.NC\.', 'blocks.'),
        (r'\.PRM\.convs\.(\d)\.0\.', r'.scales.\1.'),
        (r'\.PCM\.', '.convs.'),
    )
