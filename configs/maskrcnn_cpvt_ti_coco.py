"""Mask R-CNN, CPVT-Ti, COCO, 1x. Nothing is published for detection with these columns.

    tools/dist_train.sh configs/maskrcnn_cpvt_ti_coco.py 8

Chosen: the recipe of most transformer backbones, so that they can be compared under one; drop path 0.1, that of
classification. Weight decay spares the class token and the positional encoding generator, too. No weights are
published: trains from random weights unless init_cfg names a file of yours.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_1x.py']
model = dict(
    backbone=dict(type='mmvit_backbones.CPVT', arch='cpvt_ti', drop_path_rate=0.1),
    neck=dict(in_channels=[192, 192, 192, 192]))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'cls_token': dict(decay_mult=0.), '.peg.': dict(decay_mult=0.)}))
