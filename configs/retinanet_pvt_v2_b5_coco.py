"""RetinaNet, PVTv2-B5, COCO, 1x. Published: box AP 46.2 (arXiv 2106.13797, Table 3;
whai362/PVT@57e2dfa:detection/README.md).

    tools/dist_train.sh configs/retinanet_pvt_v2_b5_coco.py 8

All of the recipe is published (whai362/PVT@57e2dfa:detection). One image a GPU, and the learning rate divided by 1.4.
Weight decay spares nothing.
"""
_base_ = ['_base_/retinanet.py', '_base_/coco_box_pvt_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.PyramidVisionTransformerV2',
        arch='b5',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://pvt_v2/b5')),
    neck=dict(in_channels=[64, 128, 320, 512]))
train_dataloader = dict(batch_size=1)
optim_wrapper = dict(optimizer=dict(lr=1e-4 / 1.4))
auto_scale_lr = dict(base_batch_size=8)
