"""UPerNet, Shuffle Transformer-B, ADE20K, 160k. Published: mIoU 49.0 (as recollected, not verified), multi-scale 50.5
(arXiv 2106.03650, as entered in the Papers with Code leaderboard).

    tools/dist_train.sh configs/upernet_shuffle_transformer_b_ade20k.py 8

No dense code is published. Chosen: Swin's recipe, which the paper uses as recollected; drop path 0.5; batch norms
synchronised between GPUs, since the statistics of two images are poor. Weight decay spares all norms and the position
tables.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.ShuffleTransformer',
        arch='base',
        drop_path_rate=0.5,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://shuffle_transformer/base')),
    decode_head=dict(in_channels=[128, 256, 512, 1024]),
    auxiliary_head=dict(in_channels=512))
sync_bn = 'torch'
