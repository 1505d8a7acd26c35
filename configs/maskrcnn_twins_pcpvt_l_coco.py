"""Mask R-CNN, Twins-PCPVT-L, COCO, 1x. Published: box AP 45.4, mask AP 41.5 (arXiv 2104.13840, Table 8).

    tools/dist_train.sh configs/maskrcnn_twins_pcpvt_l_coco.py 8

All of the recipe is published (Meituan-AutoML/Twins@c1ff671:detection). Drop path is what the authors' code fixes.
Weight decay spares nothing.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_pvt_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.TwinsPCPVT',
        arch='large',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://twins_pcpvt/large')),
    neck=dict(in_channels=[64, 128, 320, 512]))
