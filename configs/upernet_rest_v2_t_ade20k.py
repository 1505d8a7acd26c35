"""UPerNet, ResTv2-T, ADE20K, 160k. Published: multi-scale mIoU 47.3
(wofmanaf/ResT@b9245d3:semantic_segmentation/README.md).

    tools/dist_train.sh configs/upernet_rest_v2_t_ade20k.py 8

All of the recipe is published (wofmanaf/ResT@b9245d3:semantic_segmentation).
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.ResTV2',
        arch='tiny',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://rest_v2/tiny')),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384))
