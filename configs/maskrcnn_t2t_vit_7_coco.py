"""Mask R-CNN, T2T-ViT-7, COCO, 1x. Nothing is published for detection with this family.

    tools/dist_train.sh configs/maskrcnn_t2t_vit_7_coco.py 8

Chosen: the recipe of most transformer backbones, so that they can be compared under one; drop path 0.1, that of
classification. Weight decay spares the class token, too, as in the authors' code. The levels are those of the
backbone's default pyramid.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.T2TViT',
        arch='t2t_vit_7',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://t2t_vit/t2t_vit_7')),
    neck=dict(in_channels=[64, 64, 256, 256]))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(cls_token=dict(decay_mult=0.))))
