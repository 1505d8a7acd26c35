"""UPerNet for ADE20K's 150 classes with an auxiliary FCN head on the third level, as in Swin's configs.

The backbone and the heads' ``in_channels`` are left to the config.
"""
# By path, since the maintained fork's mmengine does not find `mmseg::`.
_base_ = __import__('mmseg').__path__[0] + '/.mim/configs/_base_/models/upernet_swin.py'
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(_delete_=True),
    decode_head=dict(num_classes=150),
    auxiliary_head=dict(num_classes=150))
