"""RetinaNet, Twins-PCPVT-B, COCO, 1x. Published: box AP 44.3 (arXiv 2104.13840, Table 3).

    tools/dist_train.sh configs/retinanet_twins_pcpvt_b_coco.py 8

All of the recipe is published (Meituan-AutoML/Twins@c1ff671:detection). Drop path is what the authors' code fixes.
Weight decay spares nothing.
"""
_base_ = ['_base_/retinanet.py', '_base_/coco_box_pvt_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.TwinsPCPVT',
        arch='base',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://twins_pcpvt/base')),
    neck=dict(in_channels=[64, 128, 320, 512]))
