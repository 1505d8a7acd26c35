"""Mask R-CNN, P2T-Small, COCO, 1x. Published: box AP 45.5, mask AP 41.4 (yuhuan-wu/P2T@acd5e64:README.md).

    tools/dist_train.sh configs/maskrcnn_p2t_s_coco.py 8

All of the recipe is published (yuhuan-wu/P2T@acd5e64:detection). Weight decay spares nothing.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_pvt_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.P2T',
        arch='small',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://p2t/small')),
    neck=dict(in_channels=[64, 128, 320, 512]))
optim_wrapper = dict(optimizer=dict(lr=1e-4))
