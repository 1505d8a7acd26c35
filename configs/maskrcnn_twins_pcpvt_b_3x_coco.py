"""Mask R-CNN, Twins-PCPVT-B, COCO, 3x. Published: box AP 47.9, mask AP 43.2 (arXiv 2104.13840, Table 4).

    tools/dist_train.sh configs/maskrcnn_twins_pcpvt_b_3x_coco.py 8 --amp

All of the recipe is published (Meituan-AutoML/Twins@c1ff671:detection). Drop path is what the authors' code fixes.
Weight decay spares norms and positional encodings (`peg`, the authors' `pos_block`).
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.TwinsPCPVT',
        arch='base',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://twins_pcpvt/base')),
    neck=dict(in_channels=[64, 128, 320, 512]))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(peg=dict(decay_mult=0.))))
