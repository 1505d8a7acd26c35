"""RetinaNet with FPN as in mmdet; the backbone and ``neck.in_channels`` are left to the config."""
_base_ = 'mmdet::_base_/models/retinanet_r50_fpn.py'
model = dict(backbone=dict(_delete_=True))
