"""UPerNet, FCViT-Tiny, ADE20K, 160k. Nothing is published for UPerNet with this family.

    tools/dist_train.sh configs/upernet_fcvit_t_ade20k.py 8

Chosen: the recipe of most transformer backbones, so that they can be compared under one; no drop path, as in the
authors' Semantic FPN.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.FCViT',
        arch='tiny',
        drop_path_rate=0.,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://fcvit/tiny')),
    decode_head=dict(in_channels=[32, 64, 160, 320]),
    auxiliary_head=dict(in_channels=160))
