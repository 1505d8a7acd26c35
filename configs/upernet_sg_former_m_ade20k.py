"""UPerNet, SG-Former-M, ADE20K, 160k. Published: mIoU 51.2, multi-scale 52.1 (arXiv 2308.12216, as quoted in
arXiv 2405.07992, Table 3).

    tools/dist_train.sh configs/upernet_sg_former_m_ade20k.py 8

Published: the result. Chosen, since no dense code is published and the paper's settings are not at hand: the recipe of
most transformer backbones; drop path 0.2, that of classification. Weight decay spares norms and the position table.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.SGFormer',
        arch='m',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://sg_former/m')),
    decode_head=dict(in_channels=[64, 128, 256, 512]),
    auxiliary_head=dict(in_channels=256))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(pos_embed=dict(decay_mult=0.))))
