"""Mask R-CNN, DeiT-Ti, COCO, 1x. Nothing is published for detection with this family.

    tools/dist_train.sh configs/maskrcnn_deit_t_coco.py 8

Chosen: the recipe of most transformer backbones, so that they can be compared under one; drop path 0.1, that of
classification. Weight decay spares positions and the class token, too, as in the authors' code. The levels are those of
the backbone's default pyramid.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.DeiT',
        arch='deit_tiny_patch16_224',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://deit/deit_tiny_patch16_224')),
    neck=dict(in_channels=[192, 192, 192, 192]))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(pos_embed=dict(decay_mult=0.), cls_token=dict(decay_mult=0.))))
