"""Semantic FPN, PVT-Medium, ADE20K, 80k. Published: mIoU 41.6 (arXiv 2102.12122, Table 5).

    tools/dist_train.sh configs/semfpn_pvt_m_ade20k.py 4

Published: learning rate, batch size, iterations; no config. Chosen: the rest of the released 40k config, drop path
included, but for its stretching of test images to multiples of 32. With more images an iteration and that stretching
the authors get 43.5 (semfpn_pvt_m_40k_ade20k.py).
"""
_base_ = ['_base_/semantic_fpn.py', '_base_/ade20k_80k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.PyramidVisionTransformer',
        arch='medium',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://pvt/medium')),
    neck=dict(in_channels=[64, 128, 320, 512]))
