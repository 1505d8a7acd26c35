"""COCO boxes, 12 epochs at 1333x800, AdamW: coco_1x.py for detectors without masks.

8 GPUs x 2 images. Weight decay spares norms and position tables, as Swin's configs do.
"""
_base_ = 'coco_box_pvt_1x.py'
optim_wrapper = dict(
    optimizer=dict(betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(custom_keys=dict(norm=dict(decay_mult=0.), relative_position_bias_table=dict(decay_mult=0.))))
