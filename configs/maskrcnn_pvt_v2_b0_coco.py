"""Mask R-CNN, PVTv2-B0, COCO, 1x. Published: box AP 38.2, mask AP 36.2 (arXiv 2106.13797, Table 3;
whai362/PVT@57e2dfa:detection/README.md).

    tools/dist_train.sh configs/maskrcnn_pvt_v2_b0_coco.py 8

All of the recipe is published (whai362/PVT@57e2dfa:detection). The learning rate is that of the released config; the
paper says 1e-4. Weight decay spares nothing.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_pvt_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.PyramidVisionTransformerV2',
        arch='b0',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://pvt_v2/b0')),
    neck=dict(in_channels=[32, 64, 160, 256]))
