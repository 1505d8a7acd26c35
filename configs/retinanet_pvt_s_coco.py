"""RetinaNet, PVT-Small, COCO, 1x. Published: box AP 40.4 (arXiv 2102.12122, Table 3;
whai362/PVT@57e2dfa:detection/README.md).

    tools/dist_train.sh configs/retinanet_pvt_s_coco.py 8

All of the recipe is published (whai362/PVT@57e2dfa:detection). Weight decay spares nothing.
"""
_base_ = ['_base_/retinanet.py', '_base_/coco_box_pvt_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.PyramidVisionTransformer',
        arch='small',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://pvt/small')),
    neck=dict(in_channels=[64, 128, 320, 512]))
