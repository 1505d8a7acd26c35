"""UPerNet, Twins-SVT-S, ADE20K, 160k. Published: mIoU 46.2, multi-scale 47.1 (arXiv 2104.13840, Table 2;
Meituan-AutoML/Twins@c1ff671:README.md), 46.24 (Meituan-AutoML/Twins@c1ff671:logs).

    tools/dist_train.sh configs/upernet_twins_svt_s_ade20k.py 8

All of the recipe is published (Meituan-AutoML/Twins@c1ff671:segmentation). Drop path and window padding are what the
authors' code fixes. Weight decay spares norms and positional encodings (`peg`, the authors' `pos_block`).
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.TwinsSVT',
        arch='small',
        padding='mask',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://twins_svt/small')),
    decode_head=dict(in_channels=[64, 128, 256, 512]),
    auxiliary_head=dict(in_channels=256))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(peg=dict(decay_mult=0.))))
