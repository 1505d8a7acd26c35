"""UPerNet, Swin-B pre-trained on ImageNet-22k, ADE20K, 640x640 crops, 160k. Published: mIoU 50.04, multi-scale 51.66
(microsoft/Swin-Transformer@f82860b:README.md), multi-scale 51.6 (arXiv 2103.14030, Table 3).

    tools/dist_train.sh configs/upernet_swin_b_640_ade20k.py 8

Published: crop size and result. Chosen: the recipe of the configs for 512x512 crops, drop path included; windows of 7,
as in those; weights that were not fine-tuned on ImageNet-1k.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_640_160k.py']
model = dict(
    data_preprocessor=dict(size=(640, 640)),
    backbone=dict(
        type='mmvit_backbones.SwinTransformer',
        arch='base',
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://swin/base_22k')),
    decode_head=dict(in_channels=[128, 256, 512, 1024]),
    auxiliary_head=dict(in_channels=512))
