"""UPerNet, TokenLearner-Ti/16, ADE20K, 160k. Nothing is published for segmentation with this family.

    tools/dist_train.sh configs/upernet_tokenlearner_ti_16_ade20k.py 8

Chosen: the recipe of most transformer backbones, so that they can be compared under one; drop path 0.1, that of DeiT-Ti,
whose weights it starts from, since none of its own are published. Weight decay spares the positions, too, as for ViT. The
levels are those of the backbone's default pyramid.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.TokenLearnerViT',
        arch='tokenlearner_ti_16',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://deit/deit_tiny_patch16_224')),
    decode_head=dict(in_channels=[192, 192, 192, 192]),
    auxiliary_head=dict(in_channels=192))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(pos_embed=dict(decay_mult=0.))))
