"""Mask R-CNN, FCViT-B12, COCO, 1x. Published: box AP 42.3, mask AP 38.6 (ma-xu/FCViT@77e5a9d:detection/README.md).

    tools/dist_train.sh configs/maskrcnn_fcvit_b12_coco.py 8 --amp

All of the recipe is published (ma-xu/FCViT@77e5a9d:detection), 4 images a GPU and no drop path included. Weight decay
spares nothing.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_pvt_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.FCViT',
        arch='b12',
        drop_path_rate=0.,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://fcvit/b12')),
    neck=dict(in_channels=[64, 128, 320, 512]))
train_dataloader = dict(batch_size=4)
auto_scale_lr = dict(base_batch_size=32)
