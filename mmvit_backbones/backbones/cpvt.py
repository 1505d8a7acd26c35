"""CPVT (Chu et al., "Conditional Positional Encodings for Vision Transformers", ICLR 2023, arXiv 2102.10882).

New in it: no table of positions. A depth-wise convolution behind the first block, the positional encoding generator
(PEG), adds to a token what depends on its neighbours, and tells by the zeros around the map where it is, in images of
any size.

The authors published neither code nor weights of these columns (Meituan-AutoML/CPVT@80f2387 holds a README), so that
this is a reading of the paper. Settled, by the paper: DeiT's columns but for the positions; the PEG, y = conv(x) + x
with 3 x 3 kernels and zero padding, on the patches alone, behind the first block or each of the first five; a class
token, or the mean of all patches (GAP). Settled by the authors' Twins (Meituan-AutoML/Twins@c1ff671, Apache-2.0), for
the models there: a bias in the PEG, which the paper's count of its parameters leaves out, how it starts, no weight
decay of it, and the norm before the mean. Assumed to be DeiT's: eps, and that all tokens are normed before the class
token is read. Not known: how many PEGs the models with GAP have. Not met: the published sizes of 23 M and 88 M, by no
number of depth-wise PEGs. Chosen here: levels are what the next block reads, that is behind a PEG; the keys of files
are DeiT's and Twins'.
"""
from typing import Sequence, Tuple

import torch
from torch import Tensor, nn

from ..layers import Mlp, PositionalEncodingGenerator, PreNormBlock, init_conv_fan_out
from ..registry import MODELS
from .column import ColumnarBackbone, PatchConv, SelfAttention, TokenStem, quarters


class ConditionalBlock(PreNormBlock):
    """A pre-norm block and a PEG behind it, which a class token goes past.

    Args:
        dim, attn, mlp, drop_path, eps: As for `PreNormBlock`.
    """

    def __init__(self, dim: int, attn: nn.Module, mlp: nn.Module, drop_path: float, eps: float) -> None:
        super().__init__(dim, attn, mlp, drop_path, eps)
        self.peg = PositionalEncodingGenerator(dim)

    def forward(self, x: Tensor, size: Tuple[int, int]) -> Tensor:
        x = super().forward(x, size)
        patches = size[0] * size[1]
        prefix, x = x.split([x.shape[1] - patches, patches], dim=1)
        return torch.cat([prefix, self.peg(x.unflatten(1, size)).flatten(1, 2)], dim=1)


@MODELS.register_module()
class CPVT(ColumnarBackbone):
    """CPVT; arguments and contract in `ColumnarBackbone` and `Backbone`, and

    Args:
        pegs: How many of the first blocks have a positional encoding generator behind them: 1, or 5 in the paper's
            stronger models.

    Raises:
        ValueError: ``pegs`` is less than 1, or more than there are blocks.
    """

    family = 'cpvt'
    archs = {
        name: dict(dims=(dim, ) * 4, depths=quarters(12), num_heads=dim // 64, mlp_ratio=4, class_token=class_token)
        for name, dim, class_token in (
            ('cpvt_ti',     192, True),
            ('cpvt_ti_gap', 192, False),
            ('cpvt_s',      384, True),
            ('cpvt_s_gap',  384, False),
            ('cpvt_b',      768, True),
            ('cpvt_b_gap',  768, False),
        )
    }  # yapf: disable
    options = dict(ColumnarBackbone.options, pegs=1)
    no_decay = ('cls_token', '.peg.')

    @property
    def prefix(self) -> Sequence[str]:
        return ('cls_token', ) if self.spec['class_token'] else ()

    def build_patch_embed(self) -> nn.Module:
        depth, dim = sum(self.spec['depths']), self.spec['dims'][0]
        self._check(self.pegs in range(1, depth + 1), f'pegs in 1..{depth}', self.pegs)
        return TokenStem(PatchConv(self.in_channels, dim), dim, None, self.prefix)

    def build_block(self, number: int, drop_path: float) -> nn.Module:
        if number >= self.pegs:
            return super().build_block(number, drop_path)
        dim = self.spec['dims'][0]
        mlp = Mlp(dim, int(dim * self.spec['mlp_ratio']))
        return ConditionalBlock(dim, SelfAttention(dim, self.spec['num_heads']), mlp, drop_path, self.eps)

    def pool(self, x: tuple) -> Tensor:
        """The class token, or the mean of the patches where there is none, behind the norm."""
        return super().pool(x) if self.prefix else x[0].mean(1)

    def init_module(self, module: nn.Module) -> None:
        super().init_module(module)
        if isinstance(module, PositionalEncodingGenerator):
            init_conv_fan_out(module.proj)

    rename = (
        (r'^cls_token$', 'patch_embed.cls_token'),
        (r'^pos_block\.(\d+)\.proj\.0\.', r'blocks.\1.peg.proj.'),
        (r'^norm\.', 'stages.3.norm.'),
        (r'^head\.', None),
    )
