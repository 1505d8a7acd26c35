"""RetinaNet, P2T-Large, COCO, 1x. Published: box AP 47.2 (yuhuan-wu/P2T@acd5e64:README.md).

    tools/dist_train.sh configs/retinanet_p2t_l_coco.py 8

All of the recipe is published (yuhuan-wu/P2T@acd5e64:detection); the released config does not run, since its AdamW is
left with the momentum of an SGD. Weight decay spares nothing.
"""
_base_ = ['_base_/retinanet.py', '_base_/coco_box_pvt_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.P2T',
        arch='large',
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://p2t/large')),
    neck=dict(in_channels=[64, 128, 320, 640]))
