"""ViT_C (Xiao et al., "Early Convolutions Help Transformers See Better", NeurIPS 2021, arXiv 2106.14881).

New in it: a few 3x3 convolutions take the place of the convolution that makes the patches, at the cost of one block.

Facts from facebookresearch/pycls@5719de6 (MIT), and the settings of the variants from the configs of its branch
vitconfigs (206d0db), by which the largest has a longer stem and one block less than the paper's appendix says. The
authors classify only, and give no weights; those trained with pycls would want images in BGR. The pyramids are this
package's own.
"""
from typing import Optional, Sequence, Tuple

from torch import Tensor, nn

from ..layers import Mlp, NormedConvs, Pointwise, conv_map
from ..registry import MODELS
from .column import ColumnarBackbone, SelfAttention, TokenStem


class ConvStem(TokenStem):
    """3x3 convolutions, each with BatchNorm and ReLU, and a bare 1x1 convolution to the tokens.

    Args:
        in_dim: Channels of the image.
        widths: Channels of the convolutions, by stride: 2, 4, 8, 16. The first of each halves the map, rounding up.
        dim, grid, antialias: As for `TokenStem`.

    Returns:
        Tokens, their height and width, and the maps of strides 4 and 8 that the next step down is made of.
    """

    def __init__(self, in_dim: int, widths: Sequence[Sequence[int]], dim: int, grid: Tuple[int, int],
                 antialias: bool) -> None:
        super().__init__(Pointwise(widths[-1][-1], dim), dim, grid, antialias=antialias)
        self.convs = nn.ModuleList()
        for group in widths:
            for j, width in enumerate(group):
                conv = nn.Conv2d(in_dim, width, 3, stride=1 if j else 2, padding=1, bias=False)
                self.convs.append(NormedConvs(conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True)))
                in_dim = width

    def forward(self, x: Tensor) -> Tuple[Tensor, Tuple[int, int], Tensor, Tensor]:
        maps = []
        for conv in self.convs:
            if conv[0].stride == (2, 2):
                maps.append(x)
            x = conv_map(conv, x)
        return (*super().forward(x), *maps[2:])

    def resize(self, name: str, value: Tensor) -> Optional[Tensor]:
        """Positions that the authors keep with the tokens in front, too."""
        return super().resize(name, value.transpose(0, 1) if value.shape[1] == 1 else value)


@MODELS.register_module()
class ViTC(ColumnarBackbone):
    """ViT_C; arguments and contract in `ColumnarBackbone` and `Backbone`.

    Of its own, ``pyramid='own'``, it has the last maps of strides 4 and 8 in the stem, each with a new norm.
    """

    family = 'vit_c'
    # Depths as the authors' records of taps have them: the quarters of 11, 13 and 21 blocks, rounded, halves to even.
    archs = {
        name: dict(dims=(dim, ) * 4, depths=depths, num_heads=dim // 64, mlp_ratio=ratio, stem=stem, grid=14)
        for name, dim, depths, ratio, stem in (
            ('vit_c_1gf',         192, (3, 3, 2, 3), 3, ((24, ), (48, ), (96, ), (192, ))),
            ('vit_c_4gf',         384, (3, 3, 2, 3), 3, ((48, ), (96, ), (192, ), (384, ))),
            ('vit_c_18gf',        768, (3, 3, 2, 3), 4, ((64, ), (128, 128), (256, 256), (512, ))),
            ('vit_c_36gf',       1024, (3, 3, 4, 3), 4, ((64, ), (128, 128), (256, 256), (512, ))),
            ('vit_c_72gf_in21k', 1152, (5, 5, 6, 5), 4, ((64, ), (128, 128), (256, 256, 256), (512, 512))),
        )
    }  # yapf: disable
    pyramids = ('own', *ColumnarBackbone.pyramids)
    head_keys = {'head.head_fc.': 'head.fc.'}

    @property
    def stem_dims(self) -> Sequence[int]:
        return tuple(widths[-1] for widths in self.spec['stem'][1:3])

    def build_patch_embed(self) -> nn.Module:
        spec = self.spec
        return ConvStem(self.in_channels, spec['stem'], spec['dims'][0], (spec['grid'], ) * 2, self.antialias)

    def init_module(self, module: nn.Module) -> None:
        if isinstance(module, SelfAttention):
            nn.init.xavier_uniform_(module.qkv.weight)
            nn.init.zeros_(module.qkv.bias)
            nn.init.zeros_(module.proj.bias)
        elif isinstance(module, Mlp):
            for linear in (module.fc1, module.fc2):
                nn.init.xavier_uniform_(linear.weight)
                nn.init.normal_(linear.bias, std=1e-6)
        elif isinstance(module, ConvStem):
            nn.init.zeros_(module.cls_token)
            nn.init.normal_(module.pos_embed, std=.02)
            for conv, *_ in module.convs:
                nn.init.normal_(conv.weight, std=(2 / conv.out_channels)**.5)
            nn.init.normal_(module.proj.weight, std=module.proj.out_channels**-.5)
            nn.init.zeros_(module.proj.bias)

    rename = (
        (r'^class_token$', 'patch_embed.cls_token'),
        (r'^pos_embedding$', 'patch_embed.pos_embed'),
        (r'^stem\.cstem_last_conv\.', 'patch_embed.proj.'),
        (r'^stem\.cstem(\d+)_conv\.', r'patch_embed.convs.\1.0.'),
        (r'^stem\.cstem(\d+)_bn\.', r'patch_embed.convs.\1.1.'),
        (r'^encoder\.block_(\d+)\.', r'blocks.\1.'),
        (r'\.ln_(\d)\.', r'.norm\1.'),
        (r'\.self_attention\.(block\.in_proj_|attn_proj\.)', '.attn.qkv.'),  # main, and branch vitconfigs
        (r'\.self_attention\.(block\.)?out_proj\.', '.attn.proj.'),
        (r'\.mlp_block\.linear_(\d)\.', r'.mlp.fc\1.'),
        (r'^encoder\.ln\.', 'stages.3.norm.'),
        (r'^head\.', None),
    )
