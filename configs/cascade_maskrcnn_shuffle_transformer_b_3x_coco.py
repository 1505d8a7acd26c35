"""Cascade Mask R-CNN, Shuffle Transformer-B, COCO, 3x. Published: box AP 52.2, mask AP 45.3 (arXiv 2106.03650, as
recollected; both agree with the comparison table of arXiv 2112.09747).

    tools/dist_train.sh configs/cascade_maskrcnn_shuffle_transformer_b_3x_coco.py 8

No dense code is published. Chosen: Swin's recipe, which the paper uses as recollected; drop path 0.5; batch norms
synchronised between GPUs, since the statistics of two images are poor. Weight decay spares all norms and the position
tables.
"""
_base_ = ['_base_/cascade_mask_rcnn.py', '_base_/coco_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.ShuffleTransformer',
        arch='base',
        drop_path_rate=0.5,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://shuffle_transformer/base')),
    neck=dict(in_channels=[128, 256, 512, 1024]))
sync_bn = 'torch'
