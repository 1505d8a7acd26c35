"""Faster R-CNN, Swin-T, COCO boxes, 1x: an example of a detector without masks. No published figures.

    tools/dist_train.sh configs/fasterrcnn_swin_t_coco.py 8 --amp
"""
_base_ = ['_base_/faster_rcnn.py', '_base_/coco_box_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.SwinTransformer',
        arch='tiny',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://swin/tiny')),
    neck=dict(in_channels=[96, 192, 384, 768]))
