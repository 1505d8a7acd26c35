"""Cascade Mask R-CNN as in cascade_mask_rcnn_mvit.py, but with LayerNorm over the channels in FPN, box and mask
heads, and images padded to squares of 1024: what ViTDet compares hierarchical backbones in. Its own get another neck.

Source: detectron2, projects/ViTDet.
"""
_base_ = 'cascade_mask_rcnn_mvit.py'
head_norm = dict(type='mmvit_backbones.LN2d')
bbox_heads = _base_.bbox_heads
for head in bbox_heads:
    head['norm_cfg'] = head_norm
model = dict(
    data_preprocessor=dict(pad_size_divisor=1024),
    neck=dict(norm_cfg=head_norm),
    roi_head=dict(bbox_head=bbox_heads, mask_head=dict(norm_cfg=dict(_delete_=True, **head_norm))))
