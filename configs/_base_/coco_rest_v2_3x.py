"""COCO instances, 36 epochs with crops of nine tenths and ten scales, AdamW 1e-4: ResT V2's recipe.

8 GPUs x 2 images. Weight decay spares norms, but not those of the levels, which the authors' rule does not take for
norms. Scales as the authors have them, 534 and no 608 among them.
"""
_base_ = 'coco_3x.py'
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type='MultiStepLR', begin=0, end=36, by_epoch=True, milestones=[27, 33], gamma=0.1)
]
train_pipeline = [
    dict(type='LoadImageFromFile', backend_args=None),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomCrop', crop_type='relative', crop_size=(0.9, 0.9)),
    dict(
        type='RandomChoiceResize',
        scales=[(short, 1333) for short in (480, 512, 534, 576, 640, 672, 704, 736, 768, 800)],
        keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs')
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(
    clip_grad=dict(max_norm=0.01, norm_type=2),
    paramwise_cfg=dict(custom_keys={'backbone.norm': dict(decay_mult=1.)}))
