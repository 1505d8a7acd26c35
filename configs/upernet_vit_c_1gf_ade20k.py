"""UPerNet, ViT_C-1GF, ADE20K, 160k. Nothing is published for segmentation with this family.

    tools/dist_train.sh configs/upernet_vit_c_1gf_ade20k.py 8

Chosen: mmseg's recipe for plain ViTs, which is that of most transformer backbones; no drop path, as in
classification. Weight decay spares positions and the class token, too. No weights are published: trains from random
weights unless init_cfg names a file of yours.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(type='mmvit_backbones.ViTC', arch='vit_c_1gf'),
    decode_head=dict(in_channels=[192, 192, 192, 192]),
    auxiliary_head=dict(in_channels=192))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(pos_embed=dict(decay_mult=0.), cls_token=dict(decay_mult=0.))))
