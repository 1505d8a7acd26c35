"""UPerNet, P2T-Tiny, ADE20K, 160k. Nothing is published for UPerNet with this family.

    tools/dist_train.sh configs/upernet_p2t_t_ade20k.py 8

Chosen: the recipe of most transformer backbones, so that they can be compared under one; drop path 0.1, that of the
authors' Semantic FPN.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.P2T',
        arch='tiny',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://p2t/tiny')),
    decode_head=dict(in_channels=[48, 96, 240, 384]),
    auxiliary_head=dict(in_channels=240))
