"""Faster R-CNN with FPN as in mmdet; the backbone and ``neck.in_channels`` are left to the config."""
# By path: for `mmdet::` mmengine reads all of mmdet's metafiles, which takes longer than everything else.
_base_ = __import__('mmdet').__path__[0] + '/.mim/configs/_base_/models/faster-rcnn_r50_fpn.py'
model = dict(backbone=dict(_delete_=True))
