"""UPerNet, ResT-Lite, ADE20K, 160k. Nothing is published for segmentation with this family.

    tools/dist_train.sh configs/upernet_rest_lite_ade20k.py 8

Chosen: the recipe of most transformer backbones, so that they can be compared under one; drop path 0.1, that of the
authors' detectors; batch norms synchronised between GPUs, as those of the heads are.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.ResT',
        arch='lite',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://rest/lite')),
    decode_head=dict(in_channels=[64, 128, 256, 512]),
    auxiliary_head=dict(in_channels=256))
sync_bn = 'torch'
