"""Cascade Mask R-CNN, MViTv2-B of ImageNet-21k, COCO, 3x. Published: box AP 54.9, mask AP 47.4
(facebookresearch/detectron2@02b5c4e:projects/MViTv2/README.md).

    tools/dist_train.sh configs/cascade_maskrcnn_mvit_v2_b_in21k_3x_coco.py 8 --amp

All of the recipe is published, in the configs of the authors' repository. Their iterations are epochs here.
"""
_base_ = ['_base_/cascade_mask_rcnn_mvit.py', '_base_/coco_mvit_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.MViTv2',
        arch='base_in21k',
        drop_path_rate=0.4,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://mvit_v2/base_in21k')),
    neck=dict(in_channels=[96, 192, 384, 768]))
