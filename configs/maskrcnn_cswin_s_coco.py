"""Mask R-CNN, CSWin-S, COCO, 1x. Published: box AP 47.9, mask AP 43.2 (arXiv 2107.00652, Table 4).

    tools/dist_train.sh configs/maskrcnn_cswin_s_coco.py 8 --amp

Published: optimizer, schedule, scales, drop path. Chosen, since the authors released no detection code: what Swin's
configs add ("we follow Swin"): decay rules, warm-up. The stem's norm decays, since the authors' rule goes by the name
`norm` and they call it stage1_conv_embed.2.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.CSWinTransformer',
        arch='small',
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://cswin/small')),
    neck=dict(in_channels=[64, 128, 256, 512]))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone.patch_embed.norm': dict(decay_mult=1.)}))
