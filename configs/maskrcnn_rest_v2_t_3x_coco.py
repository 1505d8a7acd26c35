"""Mask R-CNN, ResTv2-T, COCO, 3x. Published: box AP 47.6, mask AP 43.2
(wofmanaf/ResT@b9245d3:object_detection/README.md).

    tools/dist_train.sh configs/maskrcnn_rest_v2_t_3x_coco.py 8 --amp

All of the recipe is published (wofmanaf/ResT@b9245d3:object_detection), its 270k iterations, with steps after 210k and
250k, as 36 epochs with steps after 27 and 33.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_rest_v2_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.ResTV2',
        arch='tiny',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://rest_v2/tiny')),
    neck=dict(in_channels=[96, 192, 384, 768]))
