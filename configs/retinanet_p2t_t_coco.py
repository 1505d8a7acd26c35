"""RetinaNet, P2T-Tiny, COCO, 1x. Published: box AP 41.3 (yuhuan-wu/P2T@acd5e64:README.md).

    tools/dist_train.sh configs/retinanet_p2t_t_coco.py 8

All of the recipe is published (yuhuan-wu/P2T@acd5e64:detection). Weight decay spares nothing.
"""
_base_ = ['_base_/retinanet.py', '_base_/coco_box_pvt_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.P2T',
        arch='tiny',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://p2t/tiny')),
    neck=dict(in_channels=[48, 96, 240, 384]))
