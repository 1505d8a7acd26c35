"""Cascade Mask R-CNN, Swin-S, COCO, 3x. Published: box AP 51.9, mask AP 45.0
(SwinTransformer/Swin-Transformer-Object-Detection@c7b2011:README.md), 51.8 and 44.7 (arXiv 2103.14030, Table 2).

    tools/dist_train.sh configs/cascade_maskrcnn_swin_s_3x_coco.py 8 --amp

All of the recipe is published, in the configs of the authors' repository.
"""
_base_ = ['_base_/cascade_mask_rcnn.py', '_base_/coco_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.SwinTransformer',
        arch='small',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://swin/small')),
    neck=dict(in_channels=[96, 192, 384, 768]))
