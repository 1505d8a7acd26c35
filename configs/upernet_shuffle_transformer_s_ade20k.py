"""UPerNet, Shuffle Transformer-S, ADE20K, 160k. Published: mIoU 48.4 (as recollected, not verified), multi-scale 49.6
(arXiv 2106.03650, as entered in the Papers with Code leaderboard).

    tools/dist_train.sh configs/upernet_shuffle_transformer_s_ade20k.py 8

No dense code is published. Chosen: Swin's recipe, which the paper uses as recollected; drop path 0.3; batch norms
synchronised between GPUs, since the statistics of two images are poor. Weight decay spares all norms and the position
tables.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.ShuffleTransformer',
        arch='small',
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://shuffle_transformer/small')),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384))
sync_bn = 'torch'
