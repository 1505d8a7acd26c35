"""RetinaNet, PVTv2-B2-Linear, COCO, 1x. Published: box AP 43.6 (arXiv 2106.13797, Table 3;
whai362/PVT@57e2dfa:detection/README.md).

    tools/dist_train.sh configs/retinanet_pvt_v2_b2_li_coco.py 8

All of the recipe is published (whai362/PVT@57e2dfa:detection). Weight decay spares nothing.
"""
_base_ = ['_base_/retinanet.py', '_base_/coco_box_pvt_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.PyramidVisionTransformerV2',
        arch='b2_li',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://pvt_v2/b2_li')),
    neck=dict(in_channels=[64, 128, 320, 512]))
