"""TokenLearner (Ryoo et al., "TokenLearner: Adaptive Space-Time Tokenization for Videos", NeurIPS 2021, arXiv
2106.11297).

New in it: the last blocks of a ViT work on a few tokens, each a weighted sum over the image whose weights are learned.
TokenFuser brings what they have found back to the map, so that a dense model has one behind every block.

Facts from google-research/scenic@4a38d47 (Apache-2.0), which classifies; no weights for images are published. Images
that are no multiple of 16 are padded, as ViT's are here, where the authors leave out the rest.
"""
from typing import Optional, Tuple

import torch
from torch import Tensor, nn

from ..layers import Mlp, PreNormBlock, conv_map, no_autocast, widen
from ..registry import MODELS
from .column import ColumnarBackbone, SelfAttention, quarters

EPS = 1e-6
"""Of the norms."""
BOTTLENECK = 64
"""Channels between the two linears that make the weights."""


def build_masks(dim: int, tokens: int, act: nn.Module) -> nn.Sequential:
    """A norm and two linears: a number for each learned token at each position, (..., dim) -> (..., tokens)."""
    return nn.Sequential(nn.LayerNorm(dim, eps=EPS), nn.Linear(dim, BOTTLENECK), act, nn.Linear(BOTTLENECK, tokens))


class TokenLearner(nn.Module):
    """Sums over the tokens of a map with learned weights, which sum up to one (version 1.1); in float32.

    Args:
        dim: Channels.
        tokens: Sums, S.
        act: Activation.
    """

    def __init__(self, dim: int, tokens: int, act: nn.Module) -> None:
        super().__init__()
        self.masks = build_masks(dim, tokens, act)

    def weigh(self, x: Tensor, size: Tuple[int, int]) -> Tensor:
        """Tokens (B, h * w, C) -> weights (B, h * w, S)"""
        return widen(self.masks(x)).softmax(1)

    def forward(self, x: Tensor, size: Tuple[int, int]) -> Tensor:
        """Tokens (B, h * w, C) of a map of a size (h, w) -> (B, S, C)"""
        weights = self.weigh(x, size)
        with no_autocast(x):
            return (widen(weights).transpose(1, 2) @ widen(x)).to(x.dtype)


class ConvTokenLearner(TokenLearner):
    """The same with weights between 0 and 1 of convolutions (version 1.0); a larger map has larger sums."""

    def __init__(self, dim: int, tokens: int, act: nn.Module) -> None:
        nn.Module.__init__(self)
        convs = [nn.Conv2d(in_dim, tokens, 3, padding=1, bias=False) for in_dim in (dim, tokens, tokens, tokens)]
        self.norm = nn.LayerNorm(dim, eps=EPS)
        self.convs = nn.Sequential(*(part for conv in convs[:-1] for part in (conv, act)), convs[-1])

    def weigh(self, x: Tensor, size: Tuple[int, int]) -> Tensor:
        return conv_map(self.convs, self.norm(x).unflatten(1, size)).flatten(1, 2).sigmoid()


LEARNERS = {'1.0': ConvTokenLearner, '1.1': TokenLearner}


class TokenMixing(nn.Linear):
    """A linear layer from tokens to tokens, (B, S, C) -> (B, S, C). It starts from zeros.

    Args:
        tokens: S.
    """

    def __init__(self, tokens: int) -> None:
        super().__init__(tokens, tokens)

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class TokenFuser(nn.Module):
    """What each position of a map takes of some tokens; at first, nothing.

    Args:
        dim: Channels.
        tokens: Number of the tokens, S.
        act: Activation.
    """

    def __init__(self, dim: int, tokens: int, act: nn.Module) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=EPS)
        self.mixing = TokenMixing(tokens)
        self.norm2 = nn.LayerNorm(dim, eps=EPS)
        self.masks = build_masks(dim, tokens, act)

    def forward(self, tokens: Tensor, x: Tensor) -> Tensor:
        """Tokens (B, S, C) and those of a map, (B, N, C) -> (B, N, C)"""
        return self.masks(x).sigmoid() @ self.norm2(self.mixing(self.norm1(tokens)))


class LearnedBlock(PreNormBlock):
    """A block on learned tokens.

    Args:
        dim, attn, mlp, drop_path, eps: As for `PreNormBlock`.
        learner: From the tokens of the map to the learned ones.
        fuser: From these, behind the block, to what is added to the map's; None where they take the map's place.
    """

    def __init__(self, dim: int, attn: nn.Module, mlp: nn.Module, drop_path: float, eps: float, learner: nn.Module,
                 fuser: Optional[nn.Module]) -> None:
        super().__init__(dim, attn, mlp, drop_path, eps)
        self.learner = learner
        self.fuser = fuser

    def forward(self, x: Tensor, size: Tuple[int, int]) -> Tensor:
        """Tokens (B, h * w, C) of a map of a size (h, w) -> the same, or (B, S, C) without a fuser."""
        tokens = super().forward(self.learner(x, size))
        return tokens if self.fuser is None else x + self.fuser(tokens, x)


@MODELS.register_module()
class TokenLearnerViT(ColumnarBackbone):
    """A ViT without a class token, whose last blocks work on learned tokens; arguments and contract in
    `ColumnarBackbone` and `Backbone`.

    Weights of a ViT or DeiT load, their class token left out. TokenLearners and TokenFusers are new then, and a block
    with them adds nothing to the map until they have learned.

    Keys of ``arch``: every block from the stage ``learn_from`` on learns ``tokens`` tokens. ``version`` of TokenLearner
    is '1.1' or '1.0', whose sums grow with the map. ``fuse=False`` leaves the map behind where the first tokens are
    learned, as the authors do for classification; it serves ``out_type='pooled'`` alone. ``gelu`` is PyTorch's
    ``approximate``: 'tanh' is what the authors compute with, 'none' what weights of ViTs are trained with.

    Raises:
        ValueError: The value of a key is not one of those, or there is no map with ``fuse=False``.
    """

    family = 'tokenlearner'
    # The authors' sizes, and the place and number of tokens of their configuration for ImageNet (B/16, without fuser).
    archs = {
        f'tokenlearner_{name}_16': dict(dims=(dim, ) * 4, depths=quarters(depth), num_heads=dim // 64, mlp_ratio=4,
                                        grid=14, tokens=16, learn_from=3, version='1.1', fuse=True, gelu='none')
        for name, dim, depth in (('ti', 192, 12), ('s', 384, 12), ('b', 768, 12), ('l', 1024, 24))
    }
    eps = EPS
    prefix = ()
    new_keys = (*ColumnarBackbone.new_keys, r'stages\.\d+\.blocks\.\d+\.(learner|fuser)\.')

    def build_patch_embed(self) -> nn.Module:
        spec = self.spec
        for key, known in (('version', tuple(LEARNERS)), ('gelu', ('none', 'tanh'))):
            self._check(spec[key] in known, f'arch[{key!r}] to be one of {known}', spec[key])
        self._check(spec['fuse'] or self.out_type == 'pooled', "arch['fuse']=True with maps", spec['fuse'])
        return super().build_patch_embed()

    def build_block(self, number: int, drop_path: float) -> nn.Module:
        spec, dim = self.spec, self.spec['dims'][0]
        act = nn.GELU(spec['gelu'])
        attn, mlp = SelfAttention(dim, spec['num_heads']), Mlp(dim, spec['mlp_ratio'] * dim, act)
        first = sum(spec['depths'][:spec['learn_from']])
        if number < first or number > first and not spec['fuse']:
            return PreNormBlock(dim, attn, mlp, drop_path, EPS)
        learner = LEARNERS[spec['version']](dim, spec['tokens'], act)
        fuser = TokenFuser(dim, spec['tokens'], act) if spec['fuse'] else None
        return LearnedBlock(dim, attn, mlp, drop_path, EPS, learner, fuser)

    def pool(self, x: tuple) -> Tensor:
        """The mean of the tokens, behind the norm."""
        return x[0].mean(1)

    def init_module(self, module: nn.Module) -> None:
        if not isinstance(module, TokenMixing):
            super().init_module(module)

    rename = (
        (r'^pos_embed$', 'patch_embed.pos_embed'),
        (r'^norm\.', 'stages.3.norm.'),
        (r'^(head|pre_logits|(cls|dist|mask)_token$|decoder_)', None),
    )
