"""Mask R-CNN, LocalViT-T, COCO, 1x. Nothing is published for detection with this family.

    tools/dist_train.sh configs/maskrcnn_localvit_t_coco.py 8

Chosen: the recipe of most transformer backbones, so that they can be compared under one; drop path 0.1, that of
classification. Weight decay spares class token and positions, too, as in the authors' code. The levels are those of
the backbone's default pyramid.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.LocalViT',
        arch='localvit_t',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://localvit/localvit_t')),
    neck=dict(in_channels=[192, 192, 192, 192]))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(cls_token=dict(decay_mult=0.), pos_embed=dict(decay_mult=0.))))
