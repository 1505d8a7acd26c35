"""Mask R-CNN, Swin-S, COCO, 3x. Published: box AP 48.5, mask AP 43.3
(SwinTransformer/Swin-Transformer-Object-Detection@c7b2011:README.md).

    tools/dist_train.sh configs/maskrcnn_swin_s_3x_coco.py 8 --amp

All of the recipe is published, in the configs of the authors' repository.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.SwinTransformer',
        arch='small',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://swin/small')),
    neck=dict(in_channels=[96, 192, 384, 768]))
