"""UPerNet, dynamic DWNet-T, ADE20K, 160k. Published: mIoU 45.7
(Atten4Vis/DemystifyLocalViT@ce7c0b7:downstreams/segmentation/README.md).

    tools/dist_train.sh configs/upernet_dwnet_dynamic_t_ade20k.py 8

All of the recipe is published, in the configs of the authors' repository. Norms in the blocks decay, since the authors'
rule goes by the name `norm` and they call them bn.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.DWNet',
        arch='dynamic_dwnet_tiny',
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://dwnet/dynamic_dwnet_tiny')),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384))
sync_bn = 'torch'
