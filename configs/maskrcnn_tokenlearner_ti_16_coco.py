"""Mask R-CNN, TokenLearner-Ti/16, COCO, 1x. Nothing is published for detection with this family.

    tools/dist_train.sh configs/maskrcnn_tokenlearner_ti_16_coco.py 8

Chosen: the recipe of most transformer backbones, so that they can be compared under one; drop path 0.1, that of DeiT-Ti,
whose weights it starts from, since none of its own are published. Weight decay spares the positions, too, as for ViT. The
levels are those of the backbone's default pyramid.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.TokenLearnerViT',
        arch='tokenlearner_ti_16',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://deit/deit_tiny_patch16_224')),
    neck=dict(in_channels=[192, 192, 192, 192]))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(pos_embed=dict(decay_mult=0.))))
