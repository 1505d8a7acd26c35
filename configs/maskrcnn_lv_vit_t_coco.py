"""Mask R-CNN, LV-ViT-T, COCO, 1x. Nothing is published for detection with this family.

    tools/dist_train.sh configs/maskrcnn_lv_vit_t_coco.py 8

Chosen: the recipe of most transformer backbones, so that they can be compared under one; drop path 0.1, that of
LV-ViT-S in classification, since none is given for T. Weight decay spares positions and the class token, too. The
levels are taps, since the published side layers have no map of stride 32. The stem's batch norms are synchronised between
GPUs.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.LVViT',
        arch='lvvit_t',
        pyramid='taps',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://lv_vit/lvvit_t')),
    neck=dict(in_channels=[240, 240, 240, 240]))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(pos_embed=dict(decay_mult=0.), cls_token=dict(decay_mult=0.))))
sync_bn = 'torch'
