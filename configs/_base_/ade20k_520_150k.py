"""ADE20K, 150k iterations on 520x520 crops, AdamW 1e-4: the recipe of HRFormer's authors for OCRNet.

8 GPUs x 1 image. Weight decay spares norms, biases and position tables. ``tools/test.py --tta`` averages over three
scales (0.75 to 1.25) and flips, as published.
"""
_base_ = 'ade20k_160k.py'
crop_size = (520, 520)
scale = (2080, 520)
optim_wrapper = dict(
    optimizer=dict(lr=1e-4), paramwise_cfg=dict(norm_decay_mult=0., bias_decay_mult=0.))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', eta_min=0., power=0.9, begin=1500, end=150000, by_epoch=False)
]
train_cfg = dict(max_iters=150000, val_interval=15000)
default_hooks = dict(checkpoint=dict(interval=15000))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='RandomResize', scale=scale, ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs')
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='PackSegInputs')
]
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[[
            dict(type='Resize', scale=(int(2080 * ratio), int(520 * ratio)), keep_ratio=True) for ratio in (0.75, 1.0, 1.25)
        ], [dict(type='RandomFlip', prob=float(flip), direction='horizontal') for flip in (0, 1)],
                    [dict(type='LoadAnnotations', reduce_zero_label=True)], [dict(type='PackSegInputs')]])
]
train_dataloader = dict(batch_size=1, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
auto_scale_lr = dict(enable=False, base_batch_size=8)
