"""UPerNet, CSWin-B pre-trained on ImageNet-22k, ADE20K, 640x640 crops, 160k. Published: mIoU 51.8, multi-scale 52.6
(arXiv 2107.00652, Table 6).

    tools/dist_train.sh configs/upernet_cswin_b_640_ade20k.py 8

Published: crop size and result; no config. Chosen: the recipe of the published 512x512 configs; drop path 0.6, that of
the 512 config. The authors have not published the ImageNet-22k weights of CSWin-B. The stem's norm decays, since the
authors' rule goes by the name `norm` and they call it stage1_conv_embed.2.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_640_160k.py']
model = dict(
    data_preprocessor=dict(size=(640, 640)),
    backbone=dict(
        type='mmvit_backbones.CSWinTransformer',
        arch='base',
        drop_path_rate=0.6,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://cswin/base_22k')),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone.patch_embed.norm': dict(decay_mult=1.)}))
