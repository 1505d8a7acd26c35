"""Mask R-CNN, ViTAE-T, COCO, 1x. Nothing is published for detection with this model.

    tools/dist_train.sh configs/maskrcnn_vitae_t_coco.py 8

Chosen: the recipe of ViTAEv2-S (ViTAE-Transformer/ViTAE-Transformer@aebf1d7:Object-Detection), whose 1x has the
multi-scale augmentation of the 3x. Batch norms beside the attention decay there too, since the authors' rule goes by
the name `norm` and they call them PCM.1. The levels are those of the backbone's default pyramid.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_ms_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.ViTAE',
        arch='vitae_t',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://vitae/vitae_t')),
    neck=dict(in_channels=[256, 256, 256, 256]))
optim_wrapper = dict(optimizer=dict(weight_decay=0.045))
