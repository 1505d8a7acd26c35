"""Cascade Mask R-CNN, PVTv2-B2-Linear, COCO, 3x. Published: box AP 50.9 (arXiv 2106.13797, Table 4), mask AP 44.0
(whai362/PVT@57e2dfa:detection/README.md).

    tools/dist_train.sh configs/cascade_maskrcnn_pvt_v2_b2_li_3x_coco.py 8 --amp

All of the recipe is published (whai362/PVT@57e2dfa:detection), and is Swin's. Scales are those of the released config;
the paper says 640 to 800.
"""
_base_ = ['_base_/cascade_mask_rcnn.py', '_base_/coco_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.PyramidVisionTransformerV2',
        arch='b2_li',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://pvt_v2/b2_li')),
    neck=dict(in_channels=[64, 128, 320, 512]))
