"""UPerNet, LV-ViT-M, ADE20K, 160k. Published: mIoU 49.4, multi-scale 50.6
(zihangJiang/TokenLabeling@9dbfd59:README.md).

    tools/dist_train.sh configs/upernet_lv_vit_m_ade20k.py 8 --amp

The recipe of LV-ViT-S's, with more dropout.
"""
_base_ = 'upernet_lv_vit_s_ade20k.py'
model = dict(
    backbone=dict(arch='upernet_lvvit_m', mlp_dropout=0.2, init_cfg=dict(checkpoint='mmvit://lv_vit/lvvit_m')),
    decode_head=dict(in_channels=[512, 512, 512, 2048]),
    auxiliary_head=dict(in_channels=512))
