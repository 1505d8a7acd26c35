"""COCO instances, 100 epochs with large-scale jitter, AdamW: the recipe of ViTDet.

8 GPUs x 8 images; the authors have 64 GPUs x 1. Published are 184,375 iterations, with steps after 163,889 and 177,546.
The ``layer_decay`` of learning rates is left to the config. Weight decay spares norms, those of neck and heads too, and
absolute positions.
"""
_base_ = 'coco_mvit_lsj_3x.py'
max_epochs = 100
optim_wrapper = dict(
    constructor='mmvit_backbones.LayerDecayOptimWrapperConstructor',
    optimizer=dict(lr=1e-4),
    paramwise_cfg=dict(custom_keys=dict(_delete_=True)))
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=250),
    dict(type='MultiStepLR', begin=0, end=max_epochs, by_epoch=True, milestones=[89, 96], gamma=0.1)
]
