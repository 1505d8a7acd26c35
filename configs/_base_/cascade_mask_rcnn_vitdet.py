"""Cascade Mask R-CNN as in cascade_mask_rcnn_mvit.py, but with LayerNorm (mmpretrain's, over the channels) in FPN, box
and mask heads, and images padded to squares of 1024: what ViTDet compares hierarchical backbones in.

Source: detectron2, projects/ViTDet.
"""
_base_ = 'cascade_mask_rcnn_mvit.py'
custom_imports = dict(imports=['mmpretrain.models'])
head_norm = dict(type='mmpretrain.LN2d', eps=1e-6)
bbox_heads = _base_.bbox_heads
for head in bbox_heads:
    head['norm_cfg'] = head_norm
model = dict(
    data_preprocessor=dict(pad_size_divisor=1024),
    neck=dict(norm_cfg=head_norm),
    roi_head=dict(bbox_head=bbox_heads, mask_head=dict(norm_cfg=dict(_delete_=True, **head_norm))))
