"""UPerNet, Swin-T, ADE20K, 160k. Published: mIoU 44.51, multi-scale 45.81
(SwinTransformer/Swin-Transformer-Semantic-Segmentation@87e6f90:README.md), multi-scale 46.1 (arXiv 2103.14030,
Table 3).

    tools/dist_train.sh configs/upernet_swin_t_ade20k.py 8

All of the recipe is published, in the configs of the authors' repository.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.SwinTransformer',
        arch='tiny',
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://swin/tiny')),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384))
