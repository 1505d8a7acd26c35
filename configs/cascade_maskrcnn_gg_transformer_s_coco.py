"""Cascade Mask R-CNN, GG-S, COCO, 1x. Published: box AP 49.9, mask AP 43.1 (arXiv 2106.02277, as transcribed in
igm503/heedless-backbones@978cd38:family_data/GG.yml).

    tools/dist_train.sh configs/cascade_maskrcnn_gg_transformer_s_coco.py 8

Published: method and schedule; no code. Chosen: Swin's recipe, which the paper uses as recollected; it has the
multi-scale augmentation of the 3x; drop path 0.2, Swin-S's for 3x, since there is none for 1x. No weights are
published: trains from random weights unless init_cfg names a file of yours.
"""
_base_ = ['_base_/cascade_mask_rcnn.py', '_base_/coco_ms_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.GGTransformer',
        arch='gg_small',
        drop_path_rate=0.2),
    neck=dict(in_channels=[96, 192, 384, 768]))
