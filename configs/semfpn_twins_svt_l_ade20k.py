"""Semantic FPN, Twins-SVT-L, ADE20K, 80k. Published: mIoU 46.7 (arXiv 2104.13840, Table 2).

    tools/dist_train.sh configs/semfpn_twins_svt_l_ade20k.py 4

All of the recipe is published (Meituan-AutoML/Twins@c1ff671:segmentation). Drop path and window padding are what the
authors' code fixes. The paper says weight decay 5e-4; the released config has 1e-4.
"""
_base_ = ['_base_/semantic_fpn.py', '_base_/ade20k_80k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.TwinsSVT',
        arch='large',
        padding='mask',
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://twins_svt/large')),
    neck=dict(in_channels=[128, 256, 512, 1024]))
param_scheduler = [dict(type='PolyLR', eta_min=1e-6, power=0.9, begin=0, end=80000, by_epoch=False)]
