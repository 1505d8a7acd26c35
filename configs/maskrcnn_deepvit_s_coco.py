"""Mask R-CNN, DeepViT-S, COCO, 1x. Nothing is published for detection with this family.

    tools/dist_train.sh configs/maskrcnn_deepvit_s_coco.py 8

Chosen: the recipe of most transformer backbones, so that they can be compared under one; drop path 0.2, that of
classification. Re-attention is in training mode, since its statistics belong to a resolution; blocks are recomputed,
since its maps are large then. Weight decay spares the positions and the class token, too. Images are normalised as
for the weights. The levels are those of the backbone's default pyramid.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_1x.py']
model = dict(
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
    backbone=dict(
        type='mmvit_backbones.DeepViT',
        arch='deepvit_S',
        drop_path_rate=0.2,
        with_cp=True,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://deepvit/deepvit_S')),
    neck=dict(in_channels=[396, 396, 396, 396]))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(pos_embed=dict(decay_mult=0.), cls_token=dict(decay_mult=0.))))
