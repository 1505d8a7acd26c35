"""Semantic FPN, PVT-Large, ADE20K, 320k. Published: multi-scale mIoU 44.8 (arXiv 2102.12122, Table 5, starred row).

    tools/dist_train.sh configs/semfpn_pvt_l_320k_ade20k.py 4

Published: iterations, and testing at several scales with flips; no config. Chosen: the rest of semfpn_pvt_l_ade20k.py,
with its learning rate and batch size.
"""
_base_ = ['_base_/semantic_fpn.py', '_base_/ade20k_80k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.PyramidVisionTransformer',
        arch='large',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://pvt/large')),
    neck=dict(in_channels=[64, 128, 320, 512]))
max_iters = 320000
train_cfg = dict(max_iters=max_iters)
param_scheduler = [dict(type='PolyLR', eta_min=0., power=0.9, begin=0, end=max_iters, by_epoch=False)]
