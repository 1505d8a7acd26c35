"""UPerNet, Swin-T pre-trained without labels (MoBY), ADE20K, 160k. Published: mIoU 44.06, multi-scale 45.58
(SwinTransformer/Swin-Transformer-Semantic-Segmentation@87e6f90:README.md).

    tools/dist_train.sh configs/upernet_swin_t_moby_ade20k.py 8

Published: the result. Chosen: the recipe for supervised weights, drop path included (upernet_swin_t_ade20k.py).
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.SwinTransformer',
        arch='tiny',
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://swin/tiny_moby')),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384))
