"""Cascade Mask R-CNN, Swin-T pre-trained without labels (MoBY), COCO, 1x. Published: box AP 48.1, mask AP 41.5
(SwinTransformer/Swin-Transformer-Object-Detection@c7b2011:README.md).

    tools/dist_train.sh configs/cascade_maskrcnn_swin_t_moby_coco.py 8 --amp

Published: the result. Chosen: the recipe for supervised weights, drop path included (cascade_maskrcnn_swin_t_coco.py).
"""
_base_ = ['_base_/cascade_mask_rcnn.py', '_base_/coco_ms_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.SwinTransformer',
        arch='tiny',
        drop_path_rate=0.,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://swin/tiny_moby')),
    neck=dict(in_channels=[96, 192, 384, 768]))
