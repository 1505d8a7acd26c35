"""Faster R-CNN, TNT-S, COCO boxes, 1x. Published (recollected): box AP 41.5. arXiv 2103.00112, Table 13.

    tools/dist_train.sh configs/fasterrcnn_tnt_s_coco.py 8

As in the paper: FPN on blocks 3, 6, 9 and 12, brought to strides 4 to 32, there by (transposed) convolutions, here by
those of the backbone's default pyramid. Chosen, since the rest is not known: the schedule, and the recipe of most
transformer backbones; drop path 0.1, that of classification. Weight decay spares class token and positions, as in the
authors' code. Images are normalised as for the weights.
"""
_base_ = ['_base_/faster_rcnn.py', '_base_/coco_box_1x.py']
model = dict(
    data_preprocessor=dict(mean=[127.5] * 3, std=[127.5] * 3),
    backbone=dict(
        type='mmvit_backbones.TNT',
        arch='tnt_s',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://tnt/tnt_s')),
    neck=dict(in_channels=[384, 384, 384, 384]))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(cls_token=dict(decay_mult=0.), pos_embed=dict(decay_mult=0.))))
