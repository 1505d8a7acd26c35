"""UPerNet, CaiT-XXS24, ADE20K, 160k. Nothing is published for segmentation with this family.

    tools/dist_train.sh configs/upernet_cait_xxs24_ade20k.py 8

Chosen: the recipe of most transformer backbones, so that they can be compared under one; drop path 0.05, that of
classification (recollected), the same for all blocks; the weights that were fine-tuned at 384. Weight decay spares the
positions and the factors of LayerScale, too. The levels are those of the backbone's default pyramid.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.CaiT',
        arch='cait_XXS24',
        drop_path_rate=0.05,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://cait/cait_XXS24')),
    decode_head=dict(in_channels=[192, 192, 192, 192]),
    auxiliary_head=dict(in_channels=192))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(pos_embed=dict(decay_mult=0.), gamma_=dict(decay_mult=0.))))
