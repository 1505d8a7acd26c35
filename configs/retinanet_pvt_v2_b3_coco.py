"""RetinaNet, PVTv2-B3, COCO, 1x. Published: box AP 45.9 (arXiv 2106.13797, Table 3;
whai362/PVT@57e2dfa:detection/README.md).

    tools/dist_train.sh configs/retinanet_pvt_v2_b3_coco.py 8

All of the recipe is published (whai362/PVT@57e2dfa:detection). Weight decay spares nothing.
"""
_base_ = ['_base_/retinanet.py', '_base_/coco_box_pvt_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.PyramidVisionTransformerV2',
        arch='b3',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://pvt_v2/b3')),
    neck=dict(in_channels=[64, 128, 320, 512]))
