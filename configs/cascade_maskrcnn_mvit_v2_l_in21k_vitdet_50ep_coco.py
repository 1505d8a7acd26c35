"""Cascade Mask R-CNN under ViTDet's recipe, MViTv2-L of ImageNet-21k, COCO, 50 epochs. Published: box AP 55.7, mask AP
48.3 (facebookresearch/detectron2@02b5c4e:projects/ViTDet/README.md; arXiv 2203.16527).

    tools/dist_train.sh configs/cascade_maskrcnn_mvit_v2_l_in21k_vitdet_50ep_coco.py 8 --amp

Published: optimizer, schedule, jitter, heads; position tables decay, too. The authors' iterations are epochs here.
Chosen: drop path, that of the authors' other detectors with this backbone; where in the schedule the steps are, as
for B.
"""
_base_ = ['_base_/cascade_mask_rcnn_vitdet.py', '_base_/coco_mvit_lsj_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.MViTv2',
        arch='large_in21k',
        drop_path_rate=0.5,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://mvit_v2/large_in21k')),
    neck=dict(in_channels=[144, 288, 576, 1152]))
max_epochs = 50
optim_wrapper = dict(optimizer=dict(lr=8e-5), paramwise_cfg=dict(custom_keys=dict(_delete_=True)))
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=250),
    dict(type='MultiStepLR', begin=0, end=max_epochs, by_epoch=True, milestones=[44, 48], gamma=0.1)
]
