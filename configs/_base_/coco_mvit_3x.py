"""COCO instances, 36 epochs with the augmentation of coco_3x.py, AdamW: the recipe of MViTv2's detectors.

8 GPUs x 8 images; the authors have 64 GPUs x 1. Published are 67,500 iterations, 36.5 epochs, with steps after 52,500
and 62,500. Weight decay spares norms, those of neck and heads too, and position tables, but not biases.
"""
_base_ = 'coco_3x.py'
max_epochs = 36
optim_wrapper = dict(
    optimizer=dict(lr=1.6e-4, weight_decay=0.1),
    paramwise_cfg=dict(_delete_=True, norm_decay_mult=0., custom_keys=dict(rel_pos=dict(decay_mult=0.))))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=250),
    dict(type='MultiStepLR', begin=0, end=max_epochs, by_epoch=True, milestones=[28, 33], gamma=0.1)
]
train_dataloader = dict(batch_size=8)
auto_scale_lr = dict(enable=False, base_batch_size=64)
