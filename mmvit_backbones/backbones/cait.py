"""CaiT (Touvron et al., "Going deeper with Image Transformers", ICCV 2021, arXiv 2103.17239).

New in it: a learned factor a channel on every branch (LayerScale, in `layers.block`) lets a transformer be deep, and
the class token joins the patches only in two blocks behind the others, which update it alone (class attention). The
heads of the attention talk to each other (arXiv 2003.02436).

Facts from facebookresearch/deit@7e160fe (Apache-2.0), classification only; dense models leave the class attention out.
"""
from typing import List, Sequence, Tuple

import torch
from torch import Tensor, nn

from ..layers import LayerScaleBlock, Mlp, attention, mixed_attention
from ..registry import MODELS
from .column import Column, ColumnarBackbone, SelfAttention, quarters

CLASS_BLOCKS = 2


class TalkingHeadsAttention(SelfAttention):
    """Attention whose maps are mixed over the heads, before the softmax and after it.

    Rows of what comes out do not add up to one. The second mix has a bias, so that each token gets a share of the sum
    of all values, which grows with the image.

    Args:
        dim: Channels.
        num_heads: Heads.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__(dim, num_heads)
        self.proj_l = nn.Linear(num_heads, num_heads)
        self.proj_w = nn.Linear(num_heads, num_heads)
        # The same for all keys, so that the softmax takes it away: a constant that published models have.
        self.proj_l.bias.requires_grad_(False)

    def forward(self, x: Tensor, *context) -> Tensor:
        q, k, v = self.project(x)
        return self.proj(mixed_attention(q, k, v, self.proj_w.weight, self.proj_w.bias, self.proj_l.weight))


class ClassAttention(nn.Module):
    """The first token attends to all, (B, N, C) -> (B, 1, C).

    Args:
        dim: Channels.
        num_heads: Heads, which do not talk.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.q(x[:, :1]), self.k(x), self.v(x)
        return self.proj(attention(*(part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in parts)))


class ClassBlock(LayerScaleBlock):
    """A block of the class token alone (B, 1, C), which reads the patches (B, N, C) as well."""

    def forward(self, token: Tensor, patches: Tensor) -> Tensor:
        attended = self.attn(self.norm1(torch.cat([token, patches], dim=1)))
        token = torch.addcmul(token, self.gamma_1, attended)
        return torch.addcmul(token, self.gamma_2, self.mlp(self.norm2(token)))


class ClassColumn(Column):
    """The last blocks, and class attention behind them; returns the class token behind the norm.

    Args:
        blocks, with_cp, norm: As `Column`.
        blocks_token_only: Blocks of the class token.
        dim: Channels.
    """

    def __init__(self, blocks: Sequence[nn.Module], with_cp: bool, norm: nn.Module,
                 blocks_token_only: Sequence[ClassBlock], dim: int) -> None:
        super().__init__(blocks, with_cp, norm)
        self.blocks_token_only = nn.ModuleList(blocks_token_only)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        nn.init.trunc_normal_(self.cls_token, std=.02)

    def forward(self, x: Tuple[Tensor, Tuple[int, int]]) -> Tuple[Tensor, Tuple[int, int]]:
        """Patches (B, h * w, C) and (h, w) -> the token (B, 1, C) and (h, w)"""
        patches, size = x
        for block in self.blocks:
            patches = self.run(block, patches, size)
        token = self.cls_token.to(patches.dtype).expand(len(patches), -1, -1)
        for block in self.blocks_token_only:
            token = block(token, patches)
        return self.norm(token), size


@MODELS.register_module()
class CaiT(ColumnarBackbone):
    """CaiT; arguments and contract in `ColumnarBackbone` and `Backbone`.

    There is no class token among the patches. The weights of the norm behind the last block have seen class tokens
    alone, so that for a dense model they are no more than where training starts. All blocks have the same stochastic
    depth, ``drop_path_rate``, and class attention has none.

    Maps that are mixed fit no fused kernel. They are computed for some queries at a time, and once more in the backward
    pass where they are large (twice more ``with_cp``): memory grows with the tokens, arithmetic with their square. Of an
    800 x 1344 image (4200 tokens) attention takes 80% of the arithmetic of XXS24, 221 G multiply-adds, and 68% of that
    of S24, 559 G. ``with_cp``, XXS24 learns from one such image in 2.6 GiB on a CPU.
    """

    family = 'cait'
    # The authors' code.
    archs = {
        name: dict(dims=(dim, ) * 4, depths=quarters(depth), num_heads=dim // 48, mlp_ratio=4, scale=scale, grid=grid)
        for name, dim, depth, scale, grid in (
            ('cait_XXS24_224', 192, 24, 1e-5, 14),
            ('cait_XXS24',     192, 24, 1e-5, 24),
            ('cait_XXS36_224', 192, 36, 1e-5, 14),
            ('cait_XXS36',     192, 36, 1e-5, 24),
            ('cait_XS24',      288, 24, 1e-5, 24),
            ('cait_S24_224',   384, 24, 1e-5, 14),
            ('cait_S24',       384, 24, 1e-5, 24),
            ('cait_S36',       384, 36, 1e-6, 24),
            ('cait_M36',       768, 36, 1e-6, 24),
            ('cait_M48',       768, 48, 1e-6, 28),
        )
    }  # yapf: disable
    prefix = ()
    pooled_keys = (r'stages\.3\.(cls_token$|blocks_token_only\.)', )
    no_decay = ('pos_embed', 'cls_token', 'gamma_')

    def build_block(self, number: int, drop_path: float) -> nn.Module:
        return self._build_block(LayerScaleBlock, TalkingHeadsAttention, drop_path)

    def build_stage(self, i: int, drop_path: Sequence[float]) -> nn.Module:
        stage = super().build_stage(i, drop_path)
        if i < 3 or self.out_type == 'featmap':
            return stage
        blocks = [self._build_block(ClassBlock, ClassAttention, 0.) for _ in range(CLASS_BLOCKS)]
        return ClassColumn(stage.blocks, self.with_cp, stage.norm, blocks, self.spec['dims'][0])

    def _build_block(self, block: type, attn: type, drop_path: float) -> nn.Module:
        spec, dim = self.spec, self.spec['dims'][0]
        mlp = Mlp(dim, int(dim * spec['mlp_ratio']))
        return block(dim, attn(dim, spec['num_heads']), mlp, drop_path, self.eps, spec['scale'])

    def drop_path_rates(self, rate: float) -> List[List[float]]:
        return [[rate] * depth for depth in self.spec['depths']]

    def layer_depth(self, name: str) -> int:
        behind = name.startswith(('stages.3.cls_token', 'stages.3.blocks_token_only.'))
        return self.num_layers - 1 if behind else super().layer_depth(name)

    rename = (
        (r'^pos_embed$', 'patch_embed.pos_embed'),
        (r'^norm\.', 'stages.3.norm.'),
        (r'^(cls_token$|blocks_token_only\.)', r'stages.3.\1'),
        (r'^head\.', None),
    )
