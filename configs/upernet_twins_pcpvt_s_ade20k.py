"""UPerNet, Twins-PCPVT-S, ADE20K, 160k. Published: mIoU 46.2, multi-scale 47.5 (arXiv 2104.13840, Table 2;
Meituan-AutoML/Twins@c1ff671:README.md), 46.21 (Meituan-AutoML/Twins@c1ff671:logs).

    tools/dist_train.sh configs/upernet_twins_pcpvt_s_ade20k.py 8

All of the recipe is published (Meituan-AutoML/Twins@c1ff671:segmentation). Drop path is what the authors' code fixes.
Weight decay spares norms and positional encodings (`peg`, the authors' `pos_block`). The batch size is that of the
other sizes; this one's config sets none and inherits 4 images a GPU.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.TwinsPCPVT',
        arch='small',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://twins_pcpvt/small')),
    decode_head=dict(in_channels=[64, 128, 320, 512]),
    auxiliary_head=dict(in_channels=320))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(peg=dict(decay_mult=0.))))
