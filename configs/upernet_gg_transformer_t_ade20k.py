"""UPerNet, GG-T, ADE20K, 160k. Published: mIoU 46.4, multi-scale 47.2 (arXiv 2106.02277, as transcribed in
igm503/heedless-backbones@978cd38:family_data/GG.yml).

    tools/dist_train.sh configs/upernet_gg_transformer_t_ade20k.py 8

Published: method and schedule; no code. Chosen: Swin's recipe, which the paper uses as recollected; drop path 0.3,
Swin's. No weights are published: trains from random weights unless init_cfg names a file of yours.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.GGTransformer',
        arch='gg_tiny',
        drop_path_rate=0.3),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384))
