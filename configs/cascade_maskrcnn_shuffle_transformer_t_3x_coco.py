"""Cascade Mask R-CNN, Shuffle Transformer-T, COCO, 3x. Published: box AP 50.8, mask AP 44.1 (arXiv 2106.03650, as
recollected; both agree with the comparison table of arXiv 2112.09747).

    tools/dist_train.sh configs/cascade_maskrcnn_shuffle_transformer_t_3x_coco.py 8

No dense code is published. Chosen: Swin's recipe, which the paper uses as recollected; drop path 0.2; batch norms
synchronised between GPUs, since the statistics of two images are poor. Weight decay spares all norms and the position
tables.
"""
_base_ = ['_base_/cascade_mask_rcnn.py', '_base_/coco_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.ShuffleTransformer',
        arch='tiny',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://shuffle_transformer/tiny')),
    neck=dict(in_channels=[96, 192, 384, 768]))
sync_bn = 'torch'
