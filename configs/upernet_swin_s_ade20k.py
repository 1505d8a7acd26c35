"""UPerNet, Swin-S, ADE20K, 160k. Published: mIoU 47.64, multi-scale 49.47
(SwinTransformer/Swin-Transformer-Semantic-Segmentation@87e6f90:README.md), multi-scale 49.3 (arXiv 2103.14030,
Table 3).

    tools/dist_train.sh configs/upernet_swin_s_ade20k.py 8

All of the recipe is published, in the configs of the authors' repository.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.SwinTransformer',
        arch='small',
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://swin/small')),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384))
