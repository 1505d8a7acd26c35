"""The backbone families, one file a paper."""
from .base import Backbone
from .cswin import CSWinTransformer
from .elsa import ELSASwin
from .fcvit import FCViT
from .gg_transformer import GGTransformer
from .msg_transformer import MSGTransformer
from .mvit_v2 import MViTv2
from .pvt import PyramidVisionTransformer
from .pvt_v2 import PyramidVisionTransformerV2
from .sg_former import SGFormer
from .shuffle_transformer import ShuffleTransformer
from .swin import SwinTransformer
from .t2t_vit import T2TViT
from .twins_pcpvt import TwinsPCPVT
from .twins_svt import TwinsSVT

__all__ = [
    'Backbone', 'CSWinTransformer', 'ELSASwin', 'FCViT', 'GGTransformer', 'MSGTransformer', 'MViTv2',
    'PyramidVisionTransformer', 'PyramidVisionTransformerV2', 'SGFormer', 'ShuffleTransformer', 'SwinTransformer',
    'T2TViT', 'TwinsPCPVT', 'TwinsSVT'
]
