"""UPerNet, ELSA-Swin-T, ADE20K, 160k. Published: mIoU with several scales and flips 47.9, and 47.7 before its weights
were released (damo-cv/ELSA@f3b7ac7:README.md, and @09649e7, the first release).

    tools/dist_train.sh configs/upernet_elsa_t_ade20k.py 8

All of the recipe is published, in the configs of the authors' repository.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.ELSASwin',
        arch='tiny',
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://elsa/tiny')),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384))
