"""RetinaNet, ResT-Small, COCO, 1x. Published: box AP 40.3 (wofmanaf/ResT@b9245d3:object_detection/README.md).

    tools/dist_train.sh configs/retinanet_rest_s_coco.py 8

All of the recipe is published (wofmanaf/ResT@b9245d3:object_detection), its 90k iterations as 12 epochs, but for what a
later config of the authors calls a mistake: their detectors read BGR images and divide by no deviation. Here images are
those of the classifiers. Batch norms train, with the statistics of two images. The first level is not asked for: the
second stage reads it without a norm.
"""
_base_ = ['_base_/retinanet.py', '_base_/coco_box_rest_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.ResT',
        arch='small',
        out_indices=(1, 2, 3),
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://rest/small')),
    neck=dict(in_channels=[128, 256, 512], start_level=0))
