"""Mask R-CNN, ViT_C-1GF, COCO, 1x. Nothing is published for detection with this family.

    tools/dist_train.sh configs/maskrcnn_vit_c_1gf_coco.py 8

Chosen: the recipe of most transformer backbones, so that they can be compared under one; no drop path, as in
classification. Weight decay spares positions and the class token, too, as is usual for plain ViTs. No weights are
published: trains from random weights unless init_cfg names a file of yours.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_1x.py']
model = dict(
    backbone=dict(type='mmvit_backbones.ViTC', arch='vit_c_1gf'),
    neck=dict(in_channels=[192, 192, 192, 192]))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(pos_embed=dict(decay_mult=0.), cls_token=dict(decay_mult=0.))))
