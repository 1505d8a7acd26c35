"""RetinaNet, PVTv2-B0, COCO, 1x. Published: box AP 37.2 (arXiv 2106.13797, Table 3;
whai362/PVT@57e2dfa:detection/README.md).

    tools/dist_train.sh configs/retinanet_pvt_v2_b0_coco.py 8

All of the recipe is published (whai362/PVT@57e2dfa:detection). Weight decay spares nothing.
"""
_base_ = ['_base_/retinanet.py', '_base_/coco_box_pvt_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.PyramidVisionTransformerV2',
        arch='b0',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://pvt_v2/b0')),
    neck=dict(in_channels=[32, 64, 160, 256]))
