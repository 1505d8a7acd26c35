"""Mask R-CNN, Twins-SVT-S, COCO, 1x. Published: box AP 43.4, mask AP 40.3 (arXiv 2104.13840, Table 4).

    tools/dist_train.sh configs/maskrcnn_twins_svt_s_coco.py 8

All of the recipe is published (Meituan-AutoML/Twins@c1ff671:detection). Drop path and window padding are what the
authors' code fixes. Weight decay spares nothing.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_pvt_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.TwinsSVT',
        arch='small',
        padding='pad',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://twins_svt/small')),
    neck=dict(in_channels=[64, 128, 256, 512]))
