"""UPerNet, Shuffle Transformer-T, ADE20K, 160k. Published: mIoU 46.6 (as recollected, not verified), multi-scale 47.6
(arXiv 2106.03650, as entered in the Papers with Code leaderboard).

    tools/dist_train.sh configs/upernet_shuffle_transformer_t_ade20k.py 8

No dense code is published. Chosen: Swin's recipe, which the paper uses as recollected; drop path 0.2; batch norms
synchronised between GPUs, since the statistics of two images are poor. Weight decay spares all norms and the position
tables.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.ShuffleTransformer',
        arch='tiny',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://shuffle_transformer/tiny')),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384))
sync_bn = 'torch'
