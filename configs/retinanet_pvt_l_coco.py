"""RetinaNet, PVT-Large, COCO, 1x. Published: box AP 42.6 (arXiv 2102.12122, Table 3;
whai362/PVT@57e2dfa:detection/README.md).

    tools/dist_train.sh configs/retinanet_pvt_l_coco.py 8 --amp

All of the recipe is published (whai362/PVT@57e2dfa:detection). Weight decay spares nothing. Drop path is 0, since the
authors' code passes none for this size.
"""
_base_ = ['_base_/retinanet.py', '_base_/coco_box_pvt_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.PyramidVisionTransformer',
        arch='large',
        drop_path_rate=0.,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://pvt/large')),
    neck=dict(in_channels=[64, 128, 320, 512]))
