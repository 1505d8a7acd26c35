"""UPerNet, SG-Former-B, ADE20K, 160k. Published: mIoU 52.0, multi-scale 52.7 (arXiv 2308.12216, as quoted in
arXiv 2405.07992, Table 3; multi-scale also arXiv 2308.12216, abstract).

    tools/dist_train.sh configs/upernet_sg_former_b_ade20k.py 8

Published: the result. Chosen, since no dense code is published and the paper's settings are not at hand: the recipe of
most transformer backbones; drop path 0.4, that of classification. Weight decay spares norms and the position table.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.SGFormer',
        arch='b',
        drop_path_rate=0.4,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://sg_former/b')),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(pos_embed=dict(decay_mult=0.))))
