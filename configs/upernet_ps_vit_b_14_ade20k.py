"""UPerNet, PS-ViT-B/14, ADE20K, 160k. Nothing is published for segmentation with this family.

    tools/dist_train.sh configs/upernet_ps_vit_b_14_ade20k.py 8

Chosen: the recipe of most transformer backbones, so that they can be compared under one; drop path 0.1, that of
classification; B/14, the smallest variant of which the authors have published weights. Weight decay spares the class
token, too, as in the authors' code. The levels are those of the backbone's default pyramid.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.PSViT',
        arch='ps_vit_b_14',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://ps_vit/ps_vit_b_14')),
    decode_head=dict(in_channels=[384, 384, 384, 384]),
    auxiliary_head=dict(in_channels=384))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(cls_token=dict(decay_mult=0.))))
