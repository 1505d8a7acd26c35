"""Mask R-CNN, PVT-Small, COCO, 1x. Published: box AP 40.4, mask AP 37.8 (arXiv 2102.12122, Table 4;
whai362/PVT@57e2dfa:detection/README.md).

    tools/dist_train.sh configs/maskrcnn_pvt_s_coco.py 8

All of the recipe is published (whai362/PVT@57e2dfa:detection). The learning rate is that of the released config; the
paper says 1e-4. Weight decay spares nothing.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_pvt_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.PyramidVisionTransformer',
        arch='small',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://pvt/small')),
    neck=dict(in_channels=[64, 128, 320, 512]))
