"""Mask R-CNN, PVT-Tiny, COCO, 3x. Published: box AP 39.8, mask AP 37.4 (arXiv 2102.12122, Table 4).

    tools/dist_train.sh configs/maskrcnn_pvt_t_3x_coco.py 8

Published: epochs and scales; no config. Chosen: the rest of the released 1x config, drop path included; learning rate
steps after epochs 27 and 33. The learning rate is that of the released 1x config; the paper says 1e-4.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_pvt_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.PyramidVisionTransformer',
        arch='tiny',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://pvt/tiny')),
    neck=dict(in_channels=[64, 128, 320, 512]))
