"""Semantic FPN, CSWin-T, ADE20K, 80k. Published: mIoU 48.2 (arXiv 2107.00652, Table 6).

    tools/dist_train.sh configs/semfpn_cswin_t_ade20k.py 4 --amp

Published: optimizer, schedule, batch size; "PVT's setting" for the rest. Chosen: drop path 0.1, the paper's value for
detection; for this method it states none.
"""
_base_ = ['_base_/semantic_fpn.py', '_base_/ade20k_80k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.CSWinTransformer',
        arch='tiny',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://cswin/tiny')),
    neck=dict(in_channels=[64, 128, 256, 512]))
