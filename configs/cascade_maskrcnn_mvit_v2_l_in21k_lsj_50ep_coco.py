"""Cascade Mask R-CNN, MViTv2-L of ImageNet-21k, COCO, 50 epochs. Published: box AP 55.8, mask AP 48.3
(facebookresearch/detectron2@02b5c4e:projects/MViTv2/README.md).

    tools/dist_train.sh configs/cascade_maskrcnn_mvit_v2_l_in21k_lsj_50ep_coco.py 8 --amp

Published: optimizer, schedule, jitter, drop path, heads. The authors' iterations are epochs here. Chosen: the size of
images to test, that of crops.
"""
_base_ = ['_base_/cascade_mask_rcnn_mvit.py', '_base_/coco_mvit_lsj_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.MViTv2',
        arch='large_in21k',
        drop_path_rate=0.5,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://mvit_v2/large_in21k')),
    neck=dict(in_channels=[144, 288, 576, 1152]))
max_epochs = 50
optim_wrapper = dict(optimizer=dict(lr=1e-4))
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=250),
    dict(type='MultiStepLR', begin=0, end=max_epochs, by_epoch=True, milestones=[44, 48], gamma=0.1)
]
