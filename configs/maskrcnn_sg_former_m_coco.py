"""Mask R-CNN, SG-Former-M, COCO, 1x. Published: box AP 48.2, mask AP 43.6 (arXiv 2308.12216, as quoted in
arXiv 2405.07992, Table 2).

    tools/dist_train.sh configs/maskrcnn_sg_former_m_coco.py 8

Published: the result. Chosen, since no dense code is published and the paper's settings are not at hand: the recipe of
most transformer backbones; drop path 0.2, that of classification. Weight decay spares norms and the position table.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.SGFormer',
        arch='m',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://sg_former/m')),
    neck=dict(in_channels=[64, 128, 256, 512]))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(pos_embed=dict(decay_mult=0.))))
