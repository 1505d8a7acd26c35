"""Mask R-CNN, ResTv2-S, COCO, 3x. Published: box AP 48.1, mask AP 43.3
(wofmanaf/ResT@b9245d3:object_detection/README.md).

    tools/dist_train.sh configs/maskrcnn_rest_v2_s_3x_coco.py 8 --amp

All of the recipe is published (wofmanaf/ResT@b9245d3:object_detection), its 270k iterations, with steps after 210k and
250k, as 36 epochs with steps after 27 and 33.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_rest_v2_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.ResTV2',
        arch='small',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://rest_v2/small')),
    neck=dict(in_channels=[96, 192, 384, 768]))
