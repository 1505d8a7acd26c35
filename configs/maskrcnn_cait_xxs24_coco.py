"""Mask R-CNN, CaiT-XXS24, COCO, 1x. Nothing is published for detection with this family.

    tools/dist_train.sh configs/maskrcnn_cait_xxs24_coco.py 8

Chosen: the recipe of most transformer backbones, so that they can be compared under one; drop path 0.05, that of
classification (recollected), the same for all blocks; the weights that were fine-tuned at 384. Weight decay spares the
positions and the factors of LayerScale, too. The levels are those of the backbone's default pyramid.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.CaiT',
        arch='cait_XXS24',
        drop_path_rate=0.05,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://cait/cait_XXS24')),
    neck=dict(in_channels=[192, 192, 192, 192]))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(pos_embed=dict(decay_mult=0.), gamma_=dict(decay_mult=0.))))
