"""Mask R-CNN, PVT-Medium, COCO, 3x. Published: box AP 44.2, mask AP 40.5 (arXiv 2102.12122, Table 4).

    tools/dist_train.sh configs/maskrcnn_pvt_m_3x_coco.py 8

Published: epochs and scales; no config. Chosen: the rest of the released 1x config, drop path included; learning rate
steps after epochs 27 and 33. The learning rate is that of the released 1x config; the paper says 1e-4. Drop path is 0,
since the authors' code passes none for this size.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_pvt_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.PyramidVisionTransformer',
        arch='medium',
        drop_path_rate=0.,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://pvt/medium')),
    neck=dict(in_channels=[64, 128, 320, 512]))
