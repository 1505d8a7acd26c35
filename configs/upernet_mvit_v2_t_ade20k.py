"""UPerNet, MViTv2-T, ADE20K, 160k. Nothing is published for segmentation with this family.

    tools/dist_train.sh configs/upernet_mvit_v2_t_ade20k.py 8

Chosen: the recipe of most transformer backbones, so that they can be compared under one; drop path 0.2, that of
detection. Weight decay spares the position tables, too, as in the authors' detectors.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.MViTv2',
        arch='tiny',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://mvit_v2/tiny')),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(rel_pos=dict(decay_mult=0.))))
