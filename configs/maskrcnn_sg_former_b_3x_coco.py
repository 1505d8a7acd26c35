"""Mask R-CNN, SG-Former-B, COCO, 3x. Published: box AP 51.2 (arXiv 2308.12216, abstract; method and schedule
inferred).

    tools/dist_train.sh configs/maskrcnn_sg_former_b_3x_coco.py 8

Published: the result; that it is of Mask R-CNN and 3x follows from its distance to Swin-B's. Chosen, since no dense
code is published and the paper's settings are not at hand: the recipe of most transformer backbones; drop path 0.4,
that of classification. Weight decay spares norms and the position table.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.SGFormer',
        arch='b',
        drop_path_rate=0.4,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://sg_former/b')),
    neck=dict(in_channels=[96, 192, 384, 768]))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(pos_embed=dict(decay_mult=0.))))
