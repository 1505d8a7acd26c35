"""Cascade Mask R-CNN, SwinV2-T with windows of 16, COCO, 3x. Published: box AP 51.1 (arXiv 2111.09883, Table 1).

    tools/dist_train.sh configs/cascade_maskrcnn_swin_v2_t_w16_3x_coco.py 8 --amp

Published: optimizer, schedule, scales, window, weights of windows of 8; no code. Chosen: windows of 16 in all stages;
what Swin's configs add, heads, warm-up and augmentation policy; drop path 0.2, that of classification. Weight decay
spares what it spares there, too.
"""
_base_ = ['_base_/cascade_mask_rcnn.py', '_base_/coco_3x.py']
arch = dict(__import__('mmvit_backbones').SwinTransformerV2.archs['tiny_window8_256'], window=(16, ) * 4)
model = dict(
    backbone=dict(
        type='mmvit_backbones.SwinTransformerV2',
        arch=arch,
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://swin_v2/tiny_window8_256')),
    neck=dict(in_channels=[96, 192, 384, 768]))
decay = {key: dict(decay_mult=0.) for key in ('position.mlp', 'logit_scale', 'q_bias', 'v_bias')}
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=decay))
