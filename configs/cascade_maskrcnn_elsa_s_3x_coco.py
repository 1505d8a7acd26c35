"""Cascade Mask R-CNN, ELSA-Swin-S, COCO, 3x. Published: box AP 52.3, mask AP 45.2
(damo-cv/ELSA@f3b7ac7:README.md).

    tools/dist_train.sh configs/cascade_maskrcnn_elsa_s_3x_coco.py 8 --amp

All of the recipe is published, in the configs of the authors' repository.
"""
_base_ = ['_base_/cascade_mask_rcnn.py', '_base_/coco_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.ELSASwin',
        arch='small',
        drop_path_rate=0.75,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://elsa/small')),
    neck=dict(in_channels=[96, 192, 384, 768]))
