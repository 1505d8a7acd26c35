"""Mask R-CNN, ELSA-Swin-S, COCO, 1x. Published: box AP 48.3, mask AP 43.0
(damo-cv/ELSA@f3b7ac7:README.md).

    tools/dist_train.sh configs/maskrcnn_elsa_s_coco.py 8 --amp

All of the recipe is published, in the configs of the authors' repository. Their 1x has the multi-scale augmentation of
the 3x.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_ms_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.ELSASwin',
        arch='small',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://elsa/small')),
    neck=dict(in_channels=[96, 192, 384, 768]))
