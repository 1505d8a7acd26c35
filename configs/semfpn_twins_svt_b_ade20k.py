"""Semantic FPN, Twins-SVT-B, ADE20K, 80k. Published: mIoU 45.3 (arXiv 2104.13840, Table 2).

    tools/dist_train.sh configs/semfpn_twins_svt_b_ade20k.py 4

All of the recipe is published (Meituan-AutoML/Twins@c1ff671:segmentation). Drop path and window padding are what the
authors' code fixes. The paper says weight decay 5e-4; the released config has 1e-4.
"""
_base_ = ['_base_/semantic_fpn.py', '_base_/ade20k_80k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.TwinsSVT',
        arch='base',
        padding='mask',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://twins_svt/base')),
    neck=dict(in_channels=[96, 192, 384, 768]))
param_scheduler = [dict(type='PolyLR', eta_min=1e-6, power=0.9, begin=0, end=80000, by_epoch=False)]
