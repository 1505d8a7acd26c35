"""Mask R-CNN, PVT-Large, COCO, 3x. Published: box AP 44.5, mask AP 40.7 (arXiv 2102.12122, Table 4).

    tools/dist_train.sh configs/maskrcnn_pvt_l_3x_coco.py 8

Published: epochs and scales; no config. Chosen: the rest of the released 1x config, drop path included; learning rate
steps after epochs 27 and 33. The learning rate is that of the released 1x config, 2e-4 / 1.4 for one image a GPU; the
paper says 1e-4. Drop path is 0, since the authors' code passes none for this size.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_pvt_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.PyramidVisionTransformer',
        arch='large',
        drop_path_rate=0.,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://pvt/large')),
    neck=dict(in_channels=[64, 128, 320, 512]))
train_dataloader = dict(batch_size=1)
optim_wrapper = dict(optimizer=dict(lr=2e-4 / 1.4))
auto_scale_lr = dict(base_batch_size=8)
