"""Mask R-CNN, ELSA-Swin-T, COCO, 1x. Published: box AP 45.7, mask AP 41.1
(damo-cv/ELSA@f3b7ac7:README.md).

    tools/dist_train.sh configs/maskrcnn_elsa_t_coco.py 8 --amp

All of the recipe is published, in the configs of the authors' repository. Their 1x has the multi-scale augmentation of
the 3x.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_ms_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.ELSASwin',
        arch='tiny',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://elsa/tiny')),
    neck=dict(in_channels=[96, 192, 384, 768]))
