"""UPerNet, CSWin-L pre-trained on ImageNet-22k, ADE20K, 640x640 crops, 160k. Published: mIoU 54.0 (paper), 53.4
(README), multi-scale 55.7 (arXiv 2107.00652, Table 6; microsoft/CSWin-Transformer@f111ae2:README.md).

    tools/dist_train.sh configs/upernet_cswin_l_640_ade20k.py 8

Published: crop size and result; no config. Chosen: the recipe of the published 512x512 configs; drop path 0.6, that of
the 512 config of CSWin-B; weights that were not fine-tuned on ImageNet-1k. The heads of the last stage are the
released classification code's 24; whether the segmentation runs had 24 or 48 is not known (`arch` takes a dict). The
stem's norm decays, since the authors' rule goes by the name `norm` and they call it stage1_conv_embed.2.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_640_160k.py']
model = dict(
    data_preprocessor=dict(size=(640, 640)),
    backbone=dict(
        type='mmvit_backbones.CSWinTransformer',
        arch='large',
        drop_path_rate=0.6,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://cswin/large_22k')),
    decode_head=dict(in_channels=[144, 288, 576, 1152]),
    auxiliary_head=dict(in_channels=576))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone.patch_embed.norm': dict(decay_mult=1.)}))
