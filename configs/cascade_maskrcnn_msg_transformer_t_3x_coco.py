"""Cascade Mask R-CNN, MSG-Transformer-T, COCO, 3x. Published: box AP 51.4, mask AP 44.6
(hustvl/MSG-Transformer@068da56:README.md; method and schedule inferred).

    tools/dist_train.sh configs/cascade_maskrcnn_msg_transformer_t_3x_coco.py 8

Published: the figures; that they are of Cascade Mask R-CNN and 3x follows from the baselines and counts beside them.
Chosen: Swin's recipe and heads, which the paper uses as recollected; drop path 0.1, that of classification. Weight
decay spares `rel_pos_msg` and not `msg_tokens`, as in the authors' code for classification. Shuffle sizes are the
paper's for detection, as recollected. No weights are published: trains from random weights unless init_cfg names a
file of yours.
"""
_base_ = ['_base_/cascade_mask_rcnn.py', '_base_/coco_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.MSGTransformer',
        arch='tiny',
        shuffle_sizes=(4, 4, 8, 4),
        drop_path_rate=0.1),
    neck=dict(in_channels=[64, 128, 256, 512]))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(rel_pos_msg=dict(decay_mult=0.))))
