"""Mask R-CNN, ELSA-Swin-T, COCO, 3x. Published: box AP 47.5, mask AP 42.7
(damo-cv/ELSA@f3b7ac7:README.md).

    tools/dist_train.sh configs/maskrcnn_elsa_t_3x_coco.py 8 --amp

All of the recipe is published, in the configs of the authors' repository.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.ELSASwin',
        arch='tiny',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://elsa/tiny')),
    neck=dict(in_channels=[96, 192, 384, 768]))
