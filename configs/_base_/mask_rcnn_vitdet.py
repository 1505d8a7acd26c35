"""Mask R-CNN of ViTDet: 4 convolutions and 1 linear layer in the box head, 2 convolutions in the RPN head, LayerNorm over
the channels in neck, box and mask heads, and images padded to squares of 1024.

The backbone and ``neck.in_channels`` are left to the config. Source: detectron2, projects/ViTDet.
"""
_base_ = 'mask_rcnn.py'
head_norm = dict(type='mmvit_backbones.LN2d')
model = dict(
    data_preprocessor=dict(pad_size_divisor=1024),
    neck=dict(_delete_=True, type='mmvit_backbones.SimpleFeaturePyramid', out_channels=256, num_outs=5),
    rpn_head=dict(num_convs=2),
    roi_head=dict(
        bbox_head=dict(type='Shared4Conv1FCBBoxHead', norm_cfg=head_norm), mask_head=dict(norm_cfg=head_norm)))
