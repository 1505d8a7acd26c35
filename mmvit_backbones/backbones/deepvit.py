"""DeepViT (Zhou et al., "DeepViT: Towards Deeper Vision Transformer", arXiv 2103.11886).

New in it: deep in a transformer the maps of attention grow alike. Re-attention mixes those of all heads behind the
softmax and normalises each with a batch norm.

Facts from zhoudaquan/dvit_repo@1ccb152 (MIT), classification on square images only. Pure transformers, which cut the
image into patches, pad it here where the authors take whole patches.
"""
from typing import Tuple

import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import Mlp, PreNormBlock, mixed_attention, no_autocast, normed_conv, widen
from ..registry import MODELS
from .column import ColumnarBackbone, SelfAttention, TokenStem, quarters

STEM_DIM = 64


class ConvStem(TokenStem):
    """Three convolutions as the stem, of strides 2, 1 and 8; the last leaves out a remainder at the bottom and the right.

    Args:
        in_dim: Channels of the image.
        dim, grid, antialias: As for `TokenStem`.
    """

    def __init__(self, in_dim: int, dim: int, grid: Tuple[int, int], antialias: bool) -> None:
        super().__init__(nn.Conv2d(STEM_DIM, dim, 8, stride=8), dim, grid, antialias=antialias)
        self.conv1 = nn.Conv2d(in_dim, STEM_DIM, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM_DIM)
        self.conv2 = nn.Conv2d(STEM_DIM, STEM_DIM, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(STEM_DIM)

    def forward(self, x: Tensor) -> Tuple[Tensor, Tuple[int, int]]:
        x = F.relu(normed_conv(self.conv1, self.bn1, x.permute(0, 3, 1, 2)))
        x = F.relu(normed_conv(self.conv2, self.bn2, x))
        x = self.proj(x).permute(0, 2, 3, 1)
        return self.place(x), tuple(x.shape[1:3])


class ReAttention(SelfAttention):
    """Attention whose maps are mixed over the heads behind the softmax, then normalised each, in float32 under autocast,
    since a mean of 1 / N is near to what the maps differ by.

    In training mode the batch norm needs the maps of a whole batch. In eval mode it is a factor and a shift, and the
    maps are there for some queries at a time.

    Args:
        dim: Channels.
        num_heads: Heads.
        scaled: Whether the maps are multiplied by the scale of the logits once more.
    """

    def __init__(self, dim: int, num_heads: int, scaled: bool) -> None:
        super().__init__(dim, num_heads)
        self.reatten_matrix = nn.Conv2d(num_heads, num_heads, 1)
        self.var_norm = nn.BatchNorm2d(num_heads)
        self.scale = (dim // num_heads)**-.5 if scaled else 1.

    def forward(self, x: Tensor, *context) -> Tensor:
        qkv = self.project(x)
        with no_autocast(x):
            out = self.attend(*widen(qkv)) * self.scale
        return self.proj(out.to(qkv.dtype))

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Each (B, heads, N, d) -> (B, N, heads * d)"""
        norm, weight, bias = self.var_norm, widen(self.reatten_matrix.weight), widen(self.reatten_matrix.bias)
        if norm.training:
            maps = (q * q.shape[-1]**-.5 @ k.transpose(-2, -1)).softmax(-1)
            return (norm(F.conv2d(maps, weight, bias)) @ v).transpose(1, 2).flatten(2)
        gain = widen(norm.weight) * (widen(norm.running_var) + norm.eps).rsqrt()
        bias = (bias - widen(norm.running_mean)) * gain + widen(norm.bias)
        return mixed_attention(q, k, v, gain[:, None] * weight.flatten(1), bias)


@MODELS.register_module()
class DeepViT(ColumnarBackbone):
    """DeepViT; arguments and contract in `ColumnarBackbone` and `Backbone`.

    ``deepvit_S`` and ``deepvit_L`` have a stem of convolutions, which leaves out what is beyond a multiple of 16
    pixels, and re-attention in their last blocks; the others cut patches, and have it in all blocks. Images are
    normalised with a mean and a standard deviation of 0.5.

    The mean of attention's weights is one over the number of tokens, so that the running statistics of re-attention
    belong to one resolution: at 800 x 1344 pixels those of 224 are 20 times too large. Train at the size that you test
    at, or run some hundred batches in training mode before they are frozen (``norm_eval=True``). In training mode a
    block keeps three maps of 12 x N x N float32 values for N tokens, 0.8 GiB each at 800 x 1344, where ``with_cp``
    leaves those of one block at a time; with ``norm_eval=True`` memory is linear.
    """

    family = 'deepvit'
    # The authors' code. re_attention: in how many blocks, the last ones.
    archs = {
        name: dict(dims=(dim, ) * 4, depths=quarters(depth), num_heads=12, mlp_ratio=3, re_attention=count, stem=stem,
                   scaled=scaled, grid=grid)
        for name, dim, depth, count, stem, scaled, grid in (
            ('deepvit_S',                       396, 16,  5, 'conv',  True,  14),
            ('deepvit_L',                       420, 32, 12, 'conv',  False, 14),
            ('deepvit_L_384',                   420, 32, 12, 'conv',  False, 24),
            ('deepvit_patch16_224_re_attn_16b', 384, 16, 16, 'patch', False, 14),
            ('deepvit_patch16_224_re_attn_24b', 384, 24, 24, 'patch', False, 14),
            ('deepvit_patch16_224_re_attn_32b', 384, 32, 32, 'patch', False, 14),
        )
    }  # yapf: disable
    no_decay = ('pos_embed', 'cls_token')

    def build_patch_embed(self) -> nn.Module:
        if self.spec['stem'] == 'conv':
            return ConvStem(self.in_channels, self.spec['dims'][0], (self.spec['grid'], ) * 2, self.antialias)
        return super().build_patch_embed()

    def build_block(self, number: int, drop_path: float) -> nn.Module:
        spec, dim = self.spec, self.spec['dims'][0]
        attn = SelfAttention(dim, spec['num_heads'])
        if number >= sum(spec['depths']) - spec['re_attention']:
            attn = ReAttention(dim, spec['num_heads'], spec['scaled'])
        # Behind a stem of convolutions the branches read x / 2 and are doubled; a norm of x / 2 is one of x with 4 eps.
        alpha = 2. if spec['stem'] == 'conv' else 1.
        return PreNormBlock(dim, attn, Mlp(dim, int(dim * spec['mlp_ratio'])), drop_path, self.eps * alpha**2, alpha)

    rename = (
        (r'^(cls_token|pos_embed)$', r'patch_embed.\1'),
        (r'^norm\.', 'stages.3.norm.'),
        (r'^head\.', None),
    )
