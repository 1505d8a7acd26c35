"""Cascade Mask R-CNN with FPN and the heads of MViTv2's detectors, which ViTDet took over: 4 convolutions and 1 linear
in the box heads, boxes for all classes in common, SyncBN in box and mask heads, 2 convolutions in the RPN head.

The backbone and ``neck.in_channels`` are left to the config. Source of the heads: detectron2, projects/MViTv2; the
weights of the stages' losses are mmdet's.
"""
# By path: for `mmdet::` mmengine reads all of mmdet's metafiles, which takes longer than everything else.
_base_ = __import__('mmdet').__path__[0] + '/.mim/configs/_base_/models/cascade-mask-rcnn_r50_fpn.py'
head_norm = dict(type='SyncBN', requires_grad=True)
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
        reg_class_agnostic=True,
        norm_cfg=head_norm,
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
        loss_bbox=dict(type='L1Loss', loss_weight=1.0))
    for stds in ([0.1, 0.1, 0.2, 0.2], [0.05, 0.05, 0.1, 0.1], [0.033, 0.033, 0.067, 0.067])
]
model = dict(
    backbone=dict(_delete_=True),
    rpn_head=dict(num_convs=2, loss_bbox=dict(_delete_=True, type='L1Loss', loss_weight=1.0)),
    roi_head=dict(bbox_head=bbox_heads, mask_head=dict(norm_cfg=head_norm)))
