"""ADE20K, 40k iterations on 512x512 crops, AdamW 2e-4: the recipe of PVT's released code for Semantic FPN.

8 GPUs x 4 images. Resized test images are stretched to multiples of 32, as by the authors' AlignResize.
"""
# By path, since the maintained fork's mmengine does not find `mmseg::`.
_base_ = [
    __import__('mmseg').__path__[0] + '/.mim/configs/_base_/' + path
    for path in ('datasets/ade20k.py', 'schedules/schedule_40k.py', 'default_runtime.py')
]
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=2e-4, weight_decay=1e-4))
param_scheduler = [dict(type='PolyLR', eta_min=0., power=0.9, begin=0, end=40000, by_epoch=False)]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(2048, 512), keep_ratio=True),
    dict(type='ResizeToMultiple', size_divisor=32),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='PackSegInputs')
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
auto_scale_lr = dict(enable=False, base_batch_size=32)
