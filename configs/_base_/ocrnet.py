"""OCRNet for ADE20K's 150 classes, as HRFormer's authors have it; backbone and heads' ``in_channels`` are left open.

A config gives both heads their channels: ``decode_head=[dict(head, in_channels=[...]) for head in
_base_.model.decode_head]``.
"""
# By path, since the maintained fork's mmengine does not find `mmseg::`.
_base_ = __import__('mmseg').__path__[0] + '/.mim/configs/_base_/models/ocrnet_hr18.py'
levels = dict(
    in_index=(0, 1, 2, 3),
    input_transform='resize_concat',
    channels=512,
    num_classes=150,
    norm_cfg=dict(type='SyncBN', requires_grad=True),
    align_corners=True)
model = dict(
    data_preprocessor=dict(size=(520, 520), test_cfg=dict(size_divisor=8)),
    pretrained=None,
    backbone=dict(_delete_=True),
    decode_head=[
        dict(
            levels,
            type='FCNHead',
            kernel_size=3,
            num_convs=1,
            concat_input=False,
            dropout_ratio=0.,
            loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4)),
        dict(
            levels,
            type='OCRHead',
            ocr_channels=256,
            dropout_ratio=0.05,
            sampler=dict(type='OHEMPixelSampler', thresh=0.9, min_kept=100000),
            loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.))
    ])
del levels
