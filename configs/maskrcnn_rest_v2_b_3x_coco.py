"""Mask R-CNN, ResTv2-B, COCO, 3x. Published: box AP 48.7, mask AP 43.9
(wofmanaf/ResT@b9245d3:object_detection/README.md).

    tools/dist_train.sh configs/maskrcnn_rest_v2_b_3x_coco.py 8 --amp

All of the recipe is published (wofmanaf/ResT@b9245d3:object_detection), its 270k iterations, with steps after 210k and
250k, as 36 epochs with steps after 27 and 33.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_rest_v2_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.ResTV2',
        arch='base',
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://rest_v2/base')),
    neck=dict(in_channels=[96, 192, 384, 768]))
