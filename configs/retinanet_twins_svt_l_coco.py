"""RetinaNet, Twins-SVT-L, COCO, 1x. Published: box AP 45.7 (arXiv 2104.13840, Table 8).

    tools/dist_train.sh configs/retinanet_twins_svt_l_coco.py 8

All of the recipe is published (Meituan-AutoML/Twins@c1ff671:detection). Drop path and window padding are what the
authors' code fixes. Weight decay spares nothing.
"""
_base_ = ['_base_/retinanet.py', '_base_/coco_box_pvt_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.TwinsSVT',
        arch='large',
        padding='pad',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://twins_svt/large')),
    neck=dict(in_channels=[128, 256, 512, 1024]))
