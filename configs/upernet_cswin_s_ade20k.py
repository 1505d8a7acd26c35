"""UPerNet, CSWin-S, ADE20K, 160k. Published: mIoU 50.4, multi-scale 51.5 (arXiv 2107.00652, Table 6).

    tools/dist_train.sh configs/upernet_cswin_s_ade20k.py 8

All of the recipe is published (microsoft/CSWin-Transformer@f111ae2:segmentation/configs); the authors train in
float32. The stem's norm decays, since the authors' rule goes by the name `norm` and they call it stage1_conv_embed.2.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.CSWinTransformer',
        arch='small',
        drop_path_rate=0.4,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://cswin/small')),
    decode_head=dict(in_channels=[64, 128, 256, 512]),
    auxiliary_head=dict(in_channels=256))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone.patch_embed.norm': dict(decay_mult=1.)}))
