"""UPerNet, Swin-B, ADE20K, 160k. Published: mIoU 48.13, multi-scale 49.72
(SwinTransformer/Swin-Transformer-Semantic-Segmentation@87e6f90:README.md).

    tools/dist_train.sh configs/upernet_swin_b_ade20k.py 8

All of the recipe is published, in the configs of the authors' repository.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.SwinTransformer',
        arch='base',
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://swin/base')),
    decode_head=dict(in_channels=[128, 256, 512, 1024]),
    auxiliary_head=dict(in_channels=512))
