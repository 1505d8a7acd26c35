"""Semantic FPN for ADE20K's 150 classes, as in PVT's configs; the backbone and ``neck.in_channels`` are left open."""
# By path, since the maintained fork's mmengine does not find `mmseg::`.
_base_ = __import__('mmseg').__path__[0] + '/.mim/configs/_base_/models/fpn_r50.py'
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    pretrained=None,
    backbone=dict(_delete_=True),
    decode_head=dict(num_classes=150))
