"""Mask R-CNN, Swin-T pre-trained without labels (MoBY), COCO, 3x. Published: box AP 46.0, mask AP 41.7
(SwinTransformer/Swin-Transformer-Object-Detection@c7b2011:README.md).

    tools/dist_train.sh configs/maskrcnn_swin_t_moby_3x_coco.py 8 --amp

Published: the result. Chosen: the recipe for supervised weights, drop path included (maskrcnn_swin_t_3x_coco.py).
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.SwinTransformer',
        arch='tiny',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://swin/tiny_moby')),
    neck=dict(in_channels=[96, 192, 384, 768]))
