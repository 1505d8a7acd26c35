"""TNT (Han et al., "Transformer in Transformer", NeurIPS 2021, arXiv 2103.00112).

New in it: a patch is a sentence of 16 words, patches of 4 x 4 pixels. A narrow transformer works on the words of each
sentence, and in every block the words are added to their sentence, which a usual transformer works on.

Facts from huawei-noah/Efficient-AI-Backbones@f90e129 (Apache-2.0), and of the earlier implementation, another function
with other parameters and weights of its own, from timm 0.4.12 (Apache-2.0). The former takes images of one size only;
positions for others are this package's own, as are the padding of sides that 16 does not divide, and the pyramid.
"""
from typing import Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import Mlp, PreNormBlock, attention, conv_map, pad_to_multiple, split_windows
from ..registry import MODELS
from .column import STRIDE, ColumnarBackbone, TokenStem, quarters

SIDE = 4
"""Rows, and columns, of words in a sentence."""
WORDS = SIDE**2
KERNEL = 7
"""Of the convolution whose results are the words, in pixels."""
Tokens = Tuple[Tensor, Tensor]
"""Sentences (B, 1 + N, C), the class token in front, and words (B * N, 16, c)."""


class SplitAttention(nn.Module):
    """Attention of all tokens to all, (B, N, C) -> (B, N, C); of the linear layers only the last has a bias.

    Args:
        dim: Channels.
        num_heads: Heads.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qk = nn.Linear(dim, 2 * dim, bias=False)
        self.v = nn.Linear(dim, dim, bias=False)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, *context) -> Tensor:
        # (B, N, 2, heads, d) -> (2, B, heads, N, d)
        q, k = self.qk(x).unflatten(-1, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(attention(q, k, self.v(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)))


class PatchWords(nn.Conv2d):
    """The words of each patch: a 7x7 convolution of stride 4 of the patch alone, with zeros around it, and positions.

    That is one convolution of the image with 16x16 filters, in which the 7x7 one stands at the place of each word, cut
    where the patch ends.

    Args:
        in_dim: Channels of the image.
        dim: Channels of a word.
    """

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__(in_dim, dim, KERNEL, stride=SIDE)
        self.pos_embed = nn.Parameter(torch.zeros(1, WORDS, dim))
        nn.init.trunc_normal_(self.pos_embed, std=.02)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, in_dim), sides multiples of 16 -> (B, H / 16, W / 16, 16, dim)"""
        last = STRIDE - SIDE - KERNEL // 2  # where the filter of the last word begins in the patch
        around = F.pad(self.weight, (last, STRIDE - SIDE) * 2)
        # a patch cut out for each word, the last one first: (dim, in_dim, 4, 4, 16, 16)
        weight = around.unfold(2, STRIDE, SIDE).unfold(3, STRIDE, SIDE).flip(2, 3)
        weight = weight.permute(2, 3, 0, 1, 4, 5).flatten(0, 2)
        bias = self.bias.repeat(WORDS) + self.pos_embed.flatten()  # a sum: Inductor's convolution takes no view of one
        return conv_map(lambda x: F.conv2d(x, weight, bias, STRIDE), x).unflatten(-1, (WORDS, -1))


class ImageWords(nn.Conv2d):
    """The same with a convolution of the whole image (the earlier implementation).

    Args:
        in_dim, dim: As for `PatchWords`.
    """

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__(in_dim, dim, KERNEL, stride=SIDE, padding=KERNEL // 2)
        self.pos_embed = nn.Parameter(torch.zeros(1, dim, SIDE, SIDE))
        nn.init.trunc_normal_(self.pos_embed, std=.02)

    def forward(self, x: Tensor) -> Tensor:
        x = conv_map(super().forward, x)
        words = split_windows(x, (SIDE, SIDE)) + self.pos_embed.permute(0, 2, 3, 1)
        return words.view(len(x), x.shape[1] // SIDE, x.shape[2] // SIDE, WORDS, -1)


class Sentences(nn.Module):
    """What the words of a patch, side by side, are to its sentence: LayerNorm, Linear, LayerNorm.

    (..., 16, in_dim) -> (..., dim)

    Args:
        in_dim: Channels of a word.
        dim: Channels of a sentence.
        bias: Whether the linear layer has one.
    """

    def __init__(self, in_dim: int, dim: int, bias: bool = False) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WORDS * in_dim)
        self.proj = nn.Linear(WORDS * in_dim, dim, bias)
        self.norm2 = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm2(self.proj(self.norm1(x.flatten(-2))))


class SentencesOfNormedWords(nn.Module):
    """The same as a LayerNorm of each word, and Linear (blocks of the earlier implementation).

    Args:
        in_dim, dim: As for `Sentences`.
    """

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(in_dim)
        self.proj = nn.Linear(WORDS * in_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(self.norm1(x).flatten(-2))


FORMS = dict(authors=(PatchWords, Sentences), legacy=(ImageWords, SentencesOfNormedWords))
"""{form: the words of the stem, and what adds them to the sentences in blocks}"""


class WordStem(TokenStem):
    """Words, and the sentences made of them.

    Args:
        words: From the image to the words (B, h, w, 16, word_dim).
        word_dim: Channels of a word.
        dim, grid, antialias: As for `TokenStem`, of the sentences.

    Returns:
        Sentences and words, and (h, w).
    """

    def __init__(self, words: nn.Module, word_dim: int, dim: int, grid: Tuple[int, int], antialias: bool) -> None:
        super().__init__(Sentences(word_dim, dim, bias=True), dim, grid, antialias=antialias)
        self.words = words

    def forward(self, x: Tensor) -> Tuple[Tokens, Tuple[int, int]]:
        words = self.words(pad_to_multiple(x, (STRIDE, STRIDE))[0])
        return (self.place(self.proj(words)), words.flatten(0, 2)), tuple(words.shape[1:3])


class TNTBlock(nn.Module):
    """A block for words, their sum with the sentences, and a block for sentences (section 2.2).

    Stochastic depth drops a branch of the words sentence by sentence, and nothing of the sum.

    Args:
        inner: Block of the words.
        inject: From words (B * N, 16, c) to what is added to their sentences, (B * N, C).
        outer: Block of the sentences and the class token, on (tokens, (h, w)).
    """

    def __init__(self, inner: nn.Module, inject: nn.Module, outer: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.inject = inject
        self.outer = outer

    def forward(self, tokens: Tokens, size: Tuple[int, int]) -> Tokens:
        sentences, words = tokens
        words = self.inner(words)
        told = self.inject(words).view(len(sentences), -1, sentences.shape[-1])
        sentences = torch.cat([sentences[:, :1], sentences[:, 1:] + told], dim=1)
        return self.outer(sentences, size), words


class SentenceNorm(nn.LayerNorm):
    """A LayerNorm of the sentences, behind the last block."""

    def forward(self, tokens: Tokens) -> Tokens:
        return super().forward(tokens[0]), tokens[1]


@MODELS.register_module()
class TNT(ColumnarBackbone):
    """TNT; arguments and contract in `ColumnarBackbone` and `Backbone`. Levels are maps of sentences.

    The authors normalise images with mean and deviation 0.5 of 0..1.
    """

    family = 'tnt'
    # Table 1 of the paper; the heads of the words of Ti are as recollected.
    archs = {
        name: dict(dims=(dim, ) * 4, depths=quarters(12), num_heads=dim // 64, inner_dim=inner, inner_heads=heads,
                   mlp_ratio=4, form=form, grid=14)
        for name, dim, inner, heads, form in (
            ('tnt_ti',       192, 12, 2, 'authors'),
            ('tnt_s',        384, 24, 4, 'authors'),
            ('tnt_s_legacy', 384, 24, 4, 'legacy'),
            ('tnt_b',        640, 40, 4, 'authors'),
        )
    }  # yapf: disable
    eps = 1e-5
    no_decay = ('cls_token', 'pos_embed')
    in_proj = ('qk', 'v')

    def build_patch_embed(self) -> nn.Module:
        spec, (words, _) = self.spec, FORMS[self.spec['form']]
        inner_dim, grid = spec['inner_dim'], (spec['grid'], ) * 2
        return WordStem(words(self.in_channels, inner_dim), inner_dim, spec['dims'][0], grid, self.antialias)

    def build_block(self, number: int, drop_path: float) -> nn.Module:
        dim, ratio = self.spec['inner_dim'], self.spec['mlp_ratio']
        attn = SplitAttention(dim, self.spec['inner_heads'])
        inner = PreNormBlock(dim, attn, Mlp(dim, int(dim * ratio)), drop_path)
        _, inject = FORMS[self.spec['form']]
        return TNTBlock(inner, inject(dim, self.spec['dims'][0]), self.build_outer(drop_path))

    def build_outer(self, drop_path: float) -> nn.Module:
        """The block of the sentences."""
        dim = self.spec['dims'][0]
        attn = SplitAttention(dim, self.spec['num_heads'])
        return PreNormBlock(dim, attn, Mlp(dim, int(dim * self.spec['mlp_ratio'])), drop_path)

    def build_last_norm(self) -> nn.Module:
        return SentenceNorm(self.spec['dims'][-1])

    def level(self, x: Tuple[Tokens, Tuple[int, int]]) -> Tensor:
        (sentences, _), size = x
        return super().level((sentences, size))

    def pool(self, x: Tuple[Tokens, Tuple[int, int]]) -> Tensor:
        """The class token, behind the norm."""
        return super().pool(x[0])

    _ENDS = (
        (r'^cls_token$', 'patch_embed.cls_token'),
        (r'^norm\.', 'stages.3.norm.'),
        (r'^head\.', None),
    )
    rename = (
        (r'^outer_tokens$', None),  # constant, and read by nothing
        (r'^outer_pos$', 'patch_embed.pos_embed'),
        (r'^inner_pos$', 'patch_embed.words.pos_embed'),
        (r'^patch_embed\.proj\.', 'patch_embed.words.'),
        (r'^proj_norm(\d)\.', r'patch_embed.proj.norm\1.'),
        (r'^proj\.', 'patch_embed.proj.proj.'),
        (r'\.(inner|outer)_', r'.\1.'),
        (r'^(blocks\.\d+\.)proj_norm(\d)\.', r'\1inject.norm\2.'),
        (r'^(blocks\.\d+\.)proj\.', r'\1inject.proj.'),
        *_ENDS,
    )
    _LEGACY_STEM = (
        (r'^patch_pos$', 'patch_embed.pos_embed'),
        (r'^pixel_pos$', 'patch_embed.words.pos_embed'),
        (r'^pixel_embed\.proj\.', 'patch_embed.words.'),
        (r'^norm(\d)_proj\.', r'patch_embed.proj.norm\1.'),
        (r'^proj(ection)?\.', 'patch_embed.proj.proj.'),
        *_ENDS,
    )
    other_layouts = {
        "timm's": (
            *_LEGACY_STEM,
            (r'\.norm_in\.', '.inner.norm1.'),
            (r'\.attn_in\.', '.inner.attn.'),
            (r'\.norm_mlp_in\.', '.inner.norm2.'),
            (r'\.mlp_in\.', '.inner.mlp.'),
            (r'\.norm1_proj\.', '.inject.norm1.'),
            (r'^(blocks\.\d+\.)proj\.', r'\1inject.proj.'),
            (r'\.norm_out\.', '.outer.norm1.'),
            (r'\.attn_out\.', '.outer.attn.'),
            (r'\.norm_mlp\.', '.outer.norm2.'),
            (r'^(blocks\.\d+\.)mlp\.', r'\1outer.mlp.'),
        ),
        "OpenMMLab's": (
            *_LEGACY_STEM,
            (r'^layers\.', 'blocks.'),
            (r'\.(inner|outer)_block\.', r'.\1.'),
            (r'\.norm_attn\.', '.norm1.'),
            (r'\.norm_ffn\.', '.norm2.'),
            (r'\.attn\.attn\.(qk|v)\.', r'.attn.\1.'),
            (r'\.attn\.attn\.out_proj\.', '.attn.proj.'),
            (r'\.ffn\.layers\.0\.0\.', '.mlp.fc1.'),
            (r'\.ffn\.layers\.1\.', '.mlp.fc2.'),
            (r'\.norm_proj\.', '.inject.norm1.'),
            (r'\.projection\.', '.inject.proj.'),
        ),
    }
