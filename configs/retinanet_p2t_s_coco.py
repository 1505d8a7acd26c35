"""RetinaNet, P2T-Small, COCO, 1x. Published: box AP 44.4 (yuhuan-wu/P2T@acd5e64:README.md).

    tools/dist_train.sh configs/retinanet_p2t_s_coco.py 8

All of the recipe is published (yuhuan-wu/P2T@acd5e64:detection); the released config does not run, since its AdamW is
left with the momentum of an SGD. Weight decay spares nothing.
"""
_base_ = ['_base_/retinanet.py', '_base_/coco_box_pvt_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.P2T',
        arch='small',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://p2t/small')),
    neck=dict(in_channels=[64, 128, 320, 512]))
