"""UPerNet, T2T-ViT-7, ADE20K, 160k. Nothing is published for segmentation with this family.

    tools/dist_train.sh configs/upernet_t2t_vit_7_ade20k.py 8

Chosen: the recipe of most transformer backbones, so that they can be compared under one; drop path 0.1, that of
classification. Weight decay spares the class token, too, as in the authors' code. The levels are those of the
backbone's default pyramid.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.T2TViT',
        arch='t2t_vit_7',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://t2t_vit/t2t_vit_7')),
    decode_head=dict(in_channels=[64, 64, 256, 256]),
    auxiliary_head=dict(in_channels=256))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(cls_token=dict(decay_mult=0.))))
