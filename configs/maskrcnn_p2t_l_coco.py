"""Mask R-CNN, P2T-Large, COCO, 1x. Published: box AP 48.3, mask AP 43.5 (yuhuan-wu/P2T@acd5e64:README.md).

    tools/dist_train.sh configs/maskrcnn_p2t_l_coco.py 8

All of the recipe is published (yuhuan-wu/P2T@acd5e64:detection). Weight decay spares nothing.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_pvt_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.P2T',
        arch='large',
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://p2t/large')),
    neck=dict(in_channels=[64, 128, 320, 640]))
optim_wrapper = dict(optimizer=dict(lr=1e-4), clip_grad=dict(max_norm=10, norm_type=2))
