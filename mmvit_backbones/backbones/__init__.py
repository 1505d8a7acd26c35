"""The backbone families, one file a paper."""
from .base import Backbone
from .cait import CaiT
from .ceit import CeiT
from .cpvt import CPVT
from .cswin import CSWinTransformer
from .deepvit import DeepViT
from .deit import DeiT
from .dwnet import DWNet
from .elsa import ELSASwin
from .fcvit import FCViT
from .gg_transformer import GGTransformer
from .hrformer import HRFormer
from .localvit import LocalViT, LocalViTPVT, LocalViTSwin, LocalViTT2T, LocalViTTNT
from .lv_vit import LVViT
from .msg_transformer import MSGTransformer
from .mvit_v2 import MViTv2
from .p2t import P2T
from .ps_vit import PSViT
from .pvt import PyramidVisionTransformer
from .pvt_v2 import PyramidVisionTransformerV2
from .rest import ResT
from .rest_v2 import ResTV2
from .sg_former import SGFormer
from .shuffle_transformer import ShuffleTransformer
from .swin import SwinTransformer
from .swin_v2 import SwinTransformerV2
from .t2t_vit import T2TViT
from .tnt import TNT
from .tokenlearner import TokenLearnerViT
from .twins_pcpvt import TwinsPCPVT
from .twins_svt import TwinsSVT
from .vit import VisionTransformer
from .vit_c import ViTC
from .vitae import ViTAE
from .vitae_v2 import ViTAEv2

__all__ = [
    'Backbone', 'CaiT', 'CeiT', 'CPVT', 'CSWinTransformer', 'DeepViT', 'DeiT', 'DWNet', 'ELSASwin', 'FCViT',
    'GGTransformer', 'HRFormer', 'LocalViT', 'LocalViTPVT', 'LocalViTSwin', 'LocalViTT2T', 'LocalViTTNT', 'LVViT',
    'MSGTransformer', 'MViTv2', 'P2T', 'PSViT', 'PyramidVisionTransformer', 'PyramidVisionTransformerV2', 'ResT',
    'ResTV2', 'SGFormer', 'ShuffleTransformer', 'SwinTransformer', 'SwinTransformerV2', 'T2TViT', 'TNT',
    'TokenLearnerViT', 'TwinsPCPVT', 'TwinsSVT', 'VisionTransformer', 'ViTAE', 'ViTAEv2', 'ViTC'
]
