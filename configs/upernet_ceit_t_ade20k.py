"""UPerNet, CeiT-T, ADE20K, 160k. Nothing is published for segmentation with this family.

    tools/dist_train.sh configs/upernet_ceit_t_ade20k.py 8

Chosen: mmseg's recipe for plain ViTs, which is that of most transformer backbones; drop path 0.1, that of
classification. Weight decay spares positions and the class token, too, as in the authors' code.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.CeiT',
        arch='ceit_t',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://ceit/ceit_t')),
    decode_head=dict(in_channels=[192, 192, 192, 192]),
    auxiliary_head=dict(in_channels=192))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(pos_embed=dict(decay_mult=0.), cls_token=dict(decay_mult=0.))))
