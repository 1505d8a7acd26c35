"""Cascade Mask R-CNN, MViTv2-H of ImageNet-21k, COCO, 3x. Published: box AP 56.1, mask AP 48.5
(facebookresearch/detectron2@02b5c4e:projects/MViTv2/README.md).

    tools/dist_train.sh configs/cascade_maskrcnn_mvit_v2_h_in21k_lsj_3x_coco.py 8 --amp

Published: optimizer, schedule, jitter, drop path, heads. The authors' iterations are epochs here. Chosen: the size of
images to test, that of crops.
"""
_base_ = ['_base_/cascade_mask_rcnn_mvit.py', '_base_/coco_mvit_lsj_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.MViTv2',
        arch='huge_in21k',
        drop_path_rate=0.6,
        with_cp=True,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://mvit_v2/huge_in21k')),
    neck=dict(in_channels=[192, 384, 768, 1536]))
