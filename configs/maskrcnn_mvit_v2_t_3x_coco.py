"""Mask R-CNN, MViTv2-T, COCO, 3x. Published: box AP 48.3, mask AP 43.8
(facebookresearch/detectron2@02b5c4e:projects/MViTv2/README.md).

    tools/dist_train.sh configs/maskrcnn_mvit_v2_t_3x_coco.py 8 --amp

All of the recipe is published, in the configs of the authors' repository. Their iterations are epochs here.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_mvit_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.MViTv2',
        arch='tiny',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://mvit_v2/tiny')),
    neck=dict(in_channels=[96, 192, 384, 768]))
