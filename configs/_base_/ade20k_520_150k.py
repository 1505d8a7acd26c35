"""ADE20K, 150k iterations on 520x520 crops, AdamW 1e-4: the recipe of HRFormer's authors for OCRNet.

8 GPUs x 1 image. Weight decay spares norms, biases and position tables. ``tools/test.py --tta`` averages over three
scales (0.75 to 1.25) and flips, as published.
"""
_base_ = 'ade20k_160k.py'
crop_size = (520, 520)
scale = (2080, 520)
optim_wrapper = dict(optimizer=dict(lr=1e-4), paramwise_cfg=dict(norm_decay_mult=0., bias_decay_mult=0.))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', eta_min=0., power=0.9, begin=1500, end=150000, by_epoch=False)
]
train_cfg = dict(max_iters=150000, val_interval=15000)
default_hooks = dict(checkpoint=dict(interval=15000))
train_pipeline = _base_.train_pipeline
train_pipeline[2].update(scale=scale)
train_pipeline[3].update(crop_size=crop_size)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(scale=scale)
tta_pipeline = _base_.tta_pipeline
tta_pipeline[1]['transforms'][0] = [
    dict(type='Resize', scale=(int(2080 * ratio), int(520 * ratio)), keep_ratio=True) for ratio in (0.75, 1.0, 1.25)
]
train_dataloader = dict(batch_size=1, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
auto_scale_lr = dict(enable=False, base_batch_size=8)
