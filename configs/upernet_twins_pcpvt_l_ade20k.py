"""UPerNet, Twins-PCPVT-L, ADE20K, 160k. Published: mIoU 48.6, multi-scale 49.8 (arXiv 2104.13840, Table 2;
Meituan-AutoML/Twins@c1ff671:README.md), 48.59 (Meituan-AutoML/Twins@c1ff671:logs).

    tools/dist_train.sh configs/upernet_twins_pcpvt_l_ade20k.py 8

All of the recipe is published (Meituan-AutoML/Twins@c1ff671:segmentation). Drop path is what the authors' code fixes,
0.2; their config asks for 0.3 without effect. Weight decay spares norms and positional encodings (`peg`, the authors'
`pos_block`).
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.TwinsPCPVT',
        arch='large',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://twins_pcpvt/large')),
    decode_head=dict(in_channels=[64, 128, 320, 512]),
    auxiliary_head=dict(in_channels=320))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(peg=dict(decay_mult=0.))))
