"""Cascade Mask R-CNN, Swin-T, COCO, 1x. Published: box AP 48.1, mask AP 41.7
(SwinTransformer/Swin-Transformer-Object-Detection@c7b2011:README.md).

    tools/dist_train.sh configs/cascade_maskrcnn_swin_t_coco.py 8 --amp

All of the recipe is published, in the configs of the authors' repository. Their 1x has the multi-scale augmentation of
the 3x. It has no drop path, unlike that of Mask R-CNN.
"""
_base_ = ['_base_/cascade_mask_rcnn.py', '_base_/coco_ms_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.SwinTransformer',
        arch='tiny',
        drop_path_rate=0.,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://swin/tiny')),
    neck=dict(in_channels=[96, 192, 384, 768]))
