"""LV-ViT (Jiang et al., "All Tokens Matter: Token Labeling for Training Better Vision Transformers", NeurIPS 2021,
arXiv 2104.10858).

New in it: every patch has a label of its own in training, from a map that another network has made. The stem is
convolutions, and the branches of the blocks are divided by a constant.

Facts from zihangJiang/TokenLabeling@9dbfd59 (Apache-2.0), whose segmentation code makes four levels of four blocks.
Nothing differs in the mathematics. What training drops has another name: that code hands its rates of drop path to the
MLPs, as dropout. Here ``drop_path_rate`` is what it says, and ``mlp_dropout`` is what the authors train with.
"""
from typing import Dict, Optional, Tuple

import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import Mlp, Pointwise, PreNormBlock, Upsample, conv_map, normed_conv
from ..registry import MODELS
from .column import STRIDE, ColumnarBackbone, SelfAttention, TokenStem

SIDE_DIM = 2048
"""Channels of the fourth side layer."""


class ConvPatch(nn.Module):
    """Patches of 16 pixels, as three convolutions at half the resolution see them.

    (B, H, W, in_dim) -> (B, floor(ceil(H / 2) / 8), floor(ceil(W / 2) / 8), dim): what is left over at the bottom and
    the right is seen by the convolutions alone.

    Args:
        in_dim: Channels of the image.
        hidden_dim: Channels of the convolutions.
        dim: Channels of the result.
    """

    def __init__(self, in_dim: int, hidden_dim: int, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_dim, hidden_dim, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(hidden_dim)
        self.conv2 = nn.Conv2d(hidden_dim, hidden_dim, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(hidden_dim)
        self.conv3 = nn.Conv2d(hidden_dim, hidden_dim, 3, 1, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(hidden_dim)
        self.proj = nn.Conv2d(hidden_dim, dim, STRIDE // 2, stride=STRIDE // 2)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 3, 1, 2)
        for conv, norm in ((self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)):
            x = F.relu(normed_conv(conv, norm, x), inplace=True)
        return self.proj(x).permute(0, 2, 3, 1)


class DropoutMlp(Mlp):
    """An MLP that drops hidden values and results in training.

    Args:
        dim: Channels of input and output.
        hidden_dim: Channels between the two linears.
        dropout: Rate.
    """

    def __init__(self, dim: int, hidden_dim: int, dropout: float) -> None:
        super().__init__(dim, hidden_dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and self.drop.p):
            return super().forward(x)
        return self.drop(self.fc2(self.drop(self.act(self.fc1(x)))))


class SideLayer(nn.Module):
    """A tap as a level, (B, H, W, in_dim) -> (B, s * H, s * W, dim): a transposed convolution and one of 1 x 1.

    Neither has a bias; behind each are a batch norm and a ReLU.

    Args:
        in_dim: Channels of the tap.
        dim: Channels of the level.
        scale: Factor s; 1 has no transposed convolution.
    """

    def __init__(self, in_dim: int, dim: int, scale: int) -> None:
        super().__init__()
        self.up = Upsample(in_dim, in_dim, scale, bias=False) if scale > 1 else None
        self.up_norm = nn.BatchNorm2d(in_dim) if scale > 1 else None
        self.conv = Pointwise(in_dim, dim, bias=False)
        self.norm = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        if self.up is not None:
            x = F.relu(conv_map(self.up_norm, self.up(x)), inplace=True)
        return F.relu(self.conv(x, self.norm), inplace=True)


@MODELS.register_module()
class LVViT(ColumnarBackbone):
    """LV-ViT; arguments and contract in `ColumnarBackbone` and `Backbone`, and one of its own.

    Of its own, ``pyramid='own'``, it has the side layers of the authors' segmentation code: strides 4, 8, 16 and 16,
    channels C, C, C and 2048, of the last block and every third before it, without a norm behind the last block. Their
    batch norms are those of each GPU; ``sync_bn='torch'`` in a config of mmengine's is what the authors have.

    The 'lvvit_*' are the authors' classifiers, the 'upernet_lvvit_*' the backbones of their segmentors, trained from
    these. Any of them can be either; they differ in the eps of the norms, 1e-5 and 1e-6, in the table of positions, for
    images of 512 (L: 448) pixels in segmentors, and, of L, in the constant that branches are divided by. It is 3 in
    the classifier. The segmentor's configuration leaves it out, which makes it 1, and its published weights belong to
    that if they are of the published configuration. Side layers are new where a classifier's file is loaded.

    Its classifier, ``mmvit_backbones.classifiers.TokenLabelingHead``, reads the class token and the patches.

    Args:
        mlp_dropout: Dropout in the MLP of the last block; it grows linearly from 0 at the first.
    """

    family = 'lv_vit'
    archs = {
        name: dict(dims=(dim, ) * 4, depths=(depth - 9, 3, 3, 3), num_heads=heads, mlp_ratio=3, divisor=divisor,
                   stem_dim=stem_dim, grid=grid, eps=eps)
        for name, dim, depth, heads, divisor, stem_dim, grid, eps in (
            ('lvvit_t',         240, 12,  4, 1,  64, 14, 1e-5),
            ('lvvit_s',         384, 16,  6, 2,  64, 14, 1e-5),
            ('lvvit_s_384',     384, 16,  6, 2,  64, 24, 1e-5),
            ('lvvit_m',         512, 20,  8, 2,  64, 14, 1e-5),
            ('lvvit_m_384',     512, 20,  8, 2,  64, 24, 1e-5),
            ('lvvit_m_448',     512, 20,  8, 2,  64, 28, 1e-5),
            ('lvvit_l_448',     768, 24, 12, 3, 128, 28, 1e-5),
            ('lvvit_l_512',     768, 24, 12, 3, 128, 32, 1e-5),
            ('upernet_lvvit_s', 384, 16,  6, 2,  64, 32, 1e-6),
            ('upernet_lvvit_m', 512, 20,  8, 2,  64, 32, 1e-6),
            ('upernet_lvvit_l', 768, 24, 12, 1, 128, 28, 1e-6),
        )
    }  # yapf: disable
    options = dict(ColumnarBackbone.options, pyramid='own', mlp_dropout=0.)
    pyramids = ('own', *ColumnarBackbone.pyramids)
    head_type = 'mmvit_backbones.classifiers.TokenLabelingHead'
    head_keys = {'head.': 'head.fc.', 'aux_head.': 'head.aux_head.'}
    no_decay = ('pos_embed', 'cls_token')  # of the classifiers, recollected; the segmentors' recipe decays all

    @property
    def eps(self) -> float:
        return self.spec['eps']

    def build_patch_embed(self) -> nn.Module:
        self._check(0 <= self.mlp_dropout < 1, 'mlp_dropout in [0, 1)', self.mlp_dropout)
        dim, grid = self.spec['dims'][0], (self.spec['grid'], ) * 2
        return TokenStem(ConvPatch(self.in_channels, self.spec['stem_dim'], dim), dim, grid, antialias=self.antialias)

    def build_block(self, number: int, drop_path: float) -> nn.Module:
        dim, last = self.spec['dims'][0], max(sum(self.spec['depths']) - 1, 1)
        attn = SelfAttention(dim, self.spec['num_heads'], qkv_bias=False)
        mlp = DropoutMlp(dim, dim * self.spec['mlp_ratio'], self.mlp_dropout * number / last)
        return PreNormBlock(dim, attn, mlp, drop_path, self.eps, alpha=1 / self.spec['divisor'])

    def source(self, i: int) -> str:
        return 'tap' if self.pyramid == 'own' else super().source(i)

    def level_shape(self, i: int) -> Tuple[int, int]:
        if self.pyramid != 'own':
            return super().level_shape(i)
        return SIDE_DIM if i == 3 else self.spec['dims'][i], (4, 8, STRIDE, STRIDE)[i]

    def build_resample(self, i: int) -> Optional[nn.Module]:
        if self.pyramid != 'own':
            return super().build_resample(i)
        dim, stride = self.level_shape(i)
        return SideLayer(self.spec['dims'][i], dim, STRIDE // stride)

    def has_last_norm(self) -> bool:
        return self.out_type == 'pooled' or self.pyramid != 'own' and super().has_last_norm()

    def pool(self, x: tuple) -> Tuple[Tensor, Tensor]:
        """The class token (B, C) and the tokens of the patches (B, N, C), behind the norm."""
        return x[0][:, 0], x[0][:, 1:]

    rename = (
        (r'^(patch_embed)\.', r'\1.proj.'),
        (r'^(cls_token|pos_embed)$', r'patch_embed.\1'),
        (r'^norm\.', 'stages.3.norm.'),
        (r'^(side_layer[12])\.0\.', r'\1.up.'),
        (r'^(side_layer[12])\.1\.', r'\1.up_norm.'),
        (r'^(side_layer[12])\.3\.|^(side_layer[34])\.0\.', r'\1\2.conv.'),
        (r'^(side_layer[12])\.4\.|^(side_layer[34])\.1\.', r'\1\2.norm.'),
        (r'^side_layer(\d)\.', lambda match: f'resample{int(match[1]) - 1}.'),
        (r'^(aux_)?head\.', None),
    )
