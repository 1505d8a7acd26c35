"""Mask R-CNN, PVTv2-B0, COCO, 3x. Published: box AP 41.6, mask AP 38.2 (whai362/PVT@57e2dfa:detection/README.md).

    tools/dist_train.sh configs/maskrcnn_pvt_v2_b0_3x_coco.py 8

Published: the result; no config. Chosen: the recipe of the released 3x config of PVTv2-B2, which is Swin's.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.PyramidVisionTransformerV2',
        arch='b0',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://pvt_v2/b0')),
    neck=dict(in_channels=[32, 64, 160, 256]))
