"""ImageNet-1k, 300 epochs at 224, with any backbone; Swin-T unless --backbone names another. No published figures are
of this very recipe, but it is close to all of them: docs/pretraining.md says what each paper does otherwise. It starts
from no weights.

    tools/dist_train.sh configs/imagenet.py 8 --amp --backbone pvt_v2/b1
    python tools/test.py configs/imagenet.py mmvit://swin/tiny --backbone swin/tiny --data-root /data/imagenet

The second command gives the published top-1. A checkpoint is weights for detectors and segmentors as it is: init_cfg.
"""
_base_ = ['_base_/classifier.py', '_base_/imagenet_300e.py']
model = dict(
    backbone=dict(type='mmvit_backbones.SwinTransformer', arch='tiny', drop_path_rate=0.2), head=dict(in_channels=768))
