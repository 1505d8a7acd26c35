"""Semantic FPN, CSWin-B, ADE20K, 80k. Published: mIoU 49.9 (arXiv 2107.00652, Table 6).

    tools/dist_train.sh configs/semfpn_cswin_b_ade20k.py 4 --amp

Published: optimizer, schedule, batch size; "PVT's setting" for the rest. Chosen: drop path 0.5, the paper's value for
detection; for this method it states none.
"""
_base_ = ['_base_/semantic_fpn.py', '_base_/ade20k_80k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.CSWinTransformer',
        arch='base',
        drop_path_rate=0.5,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://cswin/base')),
    neck=dict(in_channels=[96, 192, 384, 768]))
