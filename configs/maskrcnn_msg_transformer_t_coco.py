"""Mask R-CNN, MSG-Transformer-T, COCO, 1x. Nothing is published for Mask R-CNN with this family.

    tools/dist_train.sh configs/maskrcnn_msg_transformer_t_coco.py 8

Chosen: the recipe of most transformer backbones, so that they can be compared under one; drop path 0.1, that of
classification. Weight decay spares `rel_pos_msg` and not `msg_tokens`, as in the authors' code for classification.
Shuffle sizes are the paper's for detection, as recollected. No weights are published: trains from random weights
unless init_cfg names a file of yours.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.MSGTransformer',
        arch='tiny',
        shuffle_sizes=(4, 4, 8, 4),
        drop_path_rate=0.1),
    neck=dict(in_channels=[64, 128, 256, 512]))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(rel_pos_msg=dict(decay_mult=0.))))
