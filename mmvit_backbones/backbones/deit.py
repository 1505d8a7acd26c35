"""DeiT (Touvron et al., "Training data-efficient image transformers & distillation through attention", ICML 2021, arXiv
2012.12877), and DeiT III (Touvron et al., "DeiT III: Revenge of the ViT", ECCV 2022, arXiv 2204.07118).

New in DeiT: ViT learns from ImageNet-1k alone, and a second token in front of the patches from a teacher. New in DeiT
III: a learned factor a channel on each branch, positions for the patches alone, the same drop path in all blocks.

Facts from facebookresearch/deit@7e160fe (Apache-2.0), which classifies images of one size; for others ViT's rules hold.
"""
from typing import Dict, List, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import LayerScaleBlock, Mlp
from ..registry import MODELS
from .column import STRIDE, PatchConv, quarters
from .vit import VisionTransformer

PLAIN = dict(tokens=('cls_token', ), placed=1, layer_scale=None)
DISTILLED = dict(tokens=('cls_token', 'dist_token'), placed=2, layer_scale=None)
DEIT_III = dict(tokens=('cls_token', ), placed=0, layer_scale=1e-4)
"""Tokens in front of the patches, how many of them have a position, and what the factors of branches start from."""


class ResizedPatchConv(PatchConv):
    """Patches of 16 pixels, whose kernel is interpolated (bicubic) where a checkpoint has one for another side.

    Args:
        in_dim: Channels of the image.
        dim: Channels of the result.
        published: Side of a patch in the checkpoint.
    """

    def __init__(self, in_dim: int, dim: int, published: int) -> None:
        super().__init__(in_dim, dim)
        self.published = published

    def resize(self, name: str, value: Tensor) -> Tensor:
        """A weight of a checkpoint; the kernel at this one's size."""
        if name != 'weight' or tuple(value.shape[2:]) != (self.published, ) * 2:
            return value
        return F.interpolate(value.float(), self.kernel_size, mode='bicubic', align_corners=False).to(value.dtype)


@MODELS.register_module()
class DeiT(VisionTransformer):
    """DeiT, DeiT with distillation, and DeiT III; arguments and contract in `ColumnarBackbone` and `Backbone`, and two
    of its own.

    'deit_{tiny,small,base}_patch16_*' are the networks of `VisionTransformer`; only their weights differ. Those with
    'LS' are DeiT III. Those with 'distilled' have a second token, which is left out of the maps. Their classifier is
    mmpretrain's ``DeiTClsHead``, the mean of two linear layers, one a token. mmpretrain can not train it as the authors
    do, who give each of the two a loss of its own, the second that of a teacher's labels: it takes the loss of the
    mean, and warns.

    Files of 'deit_huge_patch14_LS' have a kernel for patches of 14 pixels. Dense models interpolate it to 16, and the
    report of the checkpoint calls it resized; with ``out_type='pooled'`` it stays as it is.

    Args:
        window: As for `VisionTransformer`; of the tokens in front all are left out then.
        global_blocks: As for `VisionTransformer`.
        attention: As for `VisionTransformer`.
        random_features: As for `VisionTransformer`.
    """

    family = 'deit'
    archs = {
        name: dict(dims=(dim, ) * 4, depths=quarters(depth), num_heads=heads, mlp_ratio=4, grid=grid, patch=patch,
                   **layout)
        for name, dim, depth, heads, grid, patch, layout in (
            ('deit_tiny_patch16_224',             192, 12,  3, 14, 16, PLAIN),
            ('deit_small_patch16_224',            384, 12,  6, 14, 16, PLAIN),
            ('deit_base_patch16_224',             768, 12, 12, 14, 16, PLAIN),
            ('deit_base_patch16_384',             768, 12, 12, 24, 16, PLAIN),
            ('deit_tiny_distilled_patch16_224',   192, 12,  3, 14, 16, DISTILLED),
            ('deit_small_distilled_patch16_224',  384, 12,  6, 14, 16, DISTILLED),
            ('deit_base_distilled_patch16_224',   768, 12, 12, 14, 16, DISTILLED),
            ('deit_base_distilled_patch16_384',   768, 12, 12, 24, 16, DISTILLED),
            ('deit_tiny_patch16_LS',              192, 12,  3, 14, 16, DEIT_III),
            ('deit_small_patch16_LS',             384, 12,  6, 14, 16, DEIT_III),
            ('deit_small_patch16_LS_384',         384, 12,  6, 24, 16, DEIT_III),
            ('deit_medium_patch16_LS',            512, 12,  8, 14, 16, DEIT_III),
            ('deit_base_patch16_LS',              768, 12, 12, 14, 16, DEIT_III),
            ('deit_base_patch16_LS_384',          768, 12, 12, 24, 16, DEIT_III),
            ('deit_large_patch16_LS',            1024, 24, 16, 14, 16, DEIT_III),
            ('deit_large_patch16_LS_384',        1024, 24, 16, 24, 16, DEIT_III),
            ('deit_huge_patch14_LS',             1280, 32, 16, 16, 14, DEIT_III),
        )
    }  # yapf: disable
    no_decay = (*VisionTransformer.no_decay, 'gamma_')

    @property
    def tokens(self) -> Sequence[str]:
        return self.spec['tokens']

    @property
    def placed(self) -> int:
        return min(self.spec['placed'], len(self.prefix))

    @property
    def distilled(self) -> bool:
        return 'dist_token' in self.tokens

    @property
    def head_type(self) -> str:
        return 'mmpretrain.DeiTClsHead' if self.distilled else super().head_type

    @property
    def head_keys(self) -> Dict[str, str]:
        if self.distilled:
            return {'head.': 'head.layers.head.', 'head_dist.': 'head.layers.head_dist.'}
        return super().head_keys

    def build_projection(self) -> nn.Module:
        dim, patch = self.spec['dims'][0], self.spec['patch']
        if self.out_type == 'pooled' or patch == STRIDE:
            return PatchConv(self.in_channels, dim, patch)
        return ResizedPatchConv(self.in_channels, dim, patch)

    def build_block(self, number: int, drop_path: float) -> nn.Module:
        dim, scale = self.spec['dims'][0], self.spec['layer_scale']
        if scale is None:
            return super().build_block(number, drop_path)
        mlp = Mlp(dim, int(dim * self.spec['mlp_ratio']))
        return LayerScaleBlock(dim, self.build_attention(number), mlp, drop_path, self.eps, scale)

    def drop_path_rates(self, rate: float) -> List[List[float]]:
        """Of DeiT III the same for all blocks."""
        if self.spec['layer_scale'] is None:
            return super().drop_path_rates(rate)
        return [[rate] * depth for depth in self.spec['depths']]

    def pool(self, x: tuple) -> Tensor:
        """The class token, behind the norm; with a distillation token (class token, distillation token)."""
        return (x[0][:, 0], x[0][:, 1]) if self.distilled else super().pool(x)

    @classmethod
    def layouts(cls, spec: dict) -> Dict[str, Sequence[tuple]]:
        """ViT's, and in each of them what is DeiT's."""
        return {whose: (*cls.renamed, *rules) for whose, rules in super().layouts(spec).items()}

    renamed = (
        (r'^dist_token$', 'patch_embed.dist_token'),
        (r'\.ls([12])\.gamma$', r'.gamma_\1'),  # timm's
        (r'\.(?:attn|ffn|mlp)\.gamma([12])\.weight$', r'.gamma_\1'),  # mmpretrain's
    )
