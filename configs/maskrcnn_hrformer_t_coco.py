"""Mask R-CNN, HRFormer-T, COCO, 1x. Nothing is published for detection with this family.

    tools/dist_train.sh configs/maskrcnn_hrformer_t_coco.py 8

Chosen: the recipe of most transformer backbones, so that they can be compared under one; no drop path, as in
classification. Batch norms are synchronised between GPUs, since the statistics of two images are poor. Weight
decay spares all norms, of which those of convolutions are not called so.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.HRFormer',
        arch='hrformer_t',
        drop_path_rate=0.,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://hrformer/hrformer_t')),
    neck=dict(in_channels=[18, 36, 72, 144]))
optim_wrapper = dict(paramwise_cfg=dict(norm_decay_mult=0.))
sync_bn = 'torch'
