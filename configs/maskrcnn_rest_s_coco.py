"""Mask R-CNN, ResT-Small, COCO, 1x. Published: box AP 39.6, mask AP 37.2
(wofmanaf/ResT@b9245d3:object_detection/README.md).

    tools/dist_train.sh configs/maskrcnn_rest_s_coco.py 8

All of the recipe is published (wofmanaf/ResT@508e30b), its 90k iterations as 12 epochs, but for what a later config of
the authors calls a mistake: their detectors read BGR images and divide by no deviation. Here images are those of the
classifiers. Batch norms train, with the statistics of two images.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_rest_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.ResT',
        arch='small',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://rest/small')),
    neck=dict(in_channels=[64, 128, 256, 512]))
