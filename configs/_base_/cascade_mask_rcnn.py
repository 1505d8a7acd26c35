"""Cascade Mask R-CNN with FPN and Swin's box heads (4 convolutions, 1 linear, GIoU loss on decoded boxes, SyncBN).

The backbone and ``neck.in_channels`` are left to the config. Source of the heads: the Swin authors' detection configs.
"""
# By path: for `mmdet::` mmengine reads all of mmdet's metafiles, which takes longer than everything else.
_base_ = __import__('mmdet').__path__[0] + '/.mim/configs/_base_/models/cascade-mask-rcnn_r50_fpn.py'
bbox_heads = [
    dict(
        type='ConvFCBBoxHead',
        num_shared_convs=4,
        num_shared_fcs=1,
        in_channels=256,
        conv_out_channels=256,
        fc_out_channels=1024,
        roi_feat_size=7,
        num_classes=80,
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[0., 0., 0., 0.], target_stds=stds),
        reg_class_agnostic=False,
        reg_decoded_bbox=True,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=10.0))
    for stds in ([0.1, 0.1, 0.2, 0.2], [0.05, 0.05, 0.1, 0.1], [0.033, 0.033, 0.067, 0.067])
]
model = dict(backbone=dict(_delete_=True), roi_head=dict(bbox_head=bbox_heads))
