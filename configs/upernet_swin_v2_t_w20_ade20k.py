"""UPerNet, SwinV2-T with windows of 20, ADE20K, 640x640 crops, 160k. Published: mIoU 47.7 (arXiv 2111.09883, Table 1).

    tools/dist_train.sh configs/upernet_swin_v2_t_w20_ade20k.py 8

Published: optimizer, schedule, layer-wise decay, drop path, crop size, window, weights of windows of 8; no code.
Chosen: windows of 20 in all stages; the heads of Swin's configs. Weight decay spares what it spares in classification.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_640_160k.py']
arch = dict(__import__('mmvit_backbones').SwinTransformerV2.archs['tiny_window8_256'], window=(20, ) * 4)
model = dict(
    data_preprocessor=dict(size=(640, 640)),
    backbone=dict(
        type='mmvit_backbones.SwinTransformerV2',
        arch=arch,
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://swin_v2/tiny_window8_256')),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384))
optim_wrapper = dict(
    constructor='mmvit_backbones.LayerDecayOptimWrapperConstructor',
    optimizer=dict(lr=4e-5, weight_decay=0.05),
    paramwise_cfg=dict(layer_decay=0.95))
