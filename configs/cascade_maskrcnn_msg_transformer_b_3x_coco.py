"""Cascade Mask R-CNN, MSG-Transformer-B, COCO, 3x. Published: box AP 52.8, mask AP 45.7
(hustvl/MSG-Transformer@068da56:README.md; method and schedule inferred).

    tools/dist_train.sh configs/cascade_maskrcnn_msg_transformer_b_3x_coco.py 8

Published: the figures; that they are of Cascade Mask R-CNN and 3x follows from the baselines and counts beside them.
Chosen: Swin's recipe and heads, which the paper uses as recollected; drop path 0.5, that of classification. Weight
decay spares `rel_pos_msg` and not `msg_tokens`, as in the authors' code for classification. Shuffle sizes are the
paper's for detection, as recollected. No weights are published: trains from random weights unless init_cfg names a
file of yours.
"""
_base_ = ['_base_/cascade_mask_rcnn.py', '_base_/coco_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.MSGTransformer',
        arch='base',
        shuffle_sizes=(4, 4, 8, 4),
        drop_path_rate=0.5),
    neck=dict(in_channels=[96, 192, 384, 768]))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(rel_pos_msg=dict(decay_mult=0.))))
