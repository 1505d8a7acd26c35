"""ADE20K, 80k iterations on 512x512 crops, AdamW 1e-4: PVT's recipe for Semantic FPN. 4 GPUs x 4 images."""
# By path, since the maintained fork's mmengine does not find `mmseg::`.
_base_ = [
    __import__('mmseg').__path__[0] + '/.mim/configs/_base_/' + path
    for path in ('datasets/ade20k.py', 'schedules/schedule_80k.py', 'default_runtime.py')
]
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1e-4, weight_decay=1e-4))
param_scheduler = [dict(type='PolyLR', eta_min=0., power=0.9, begin=0, end=80000, by_epoch=False)]
auto_scale_lr = dict(enable=False, base_batch_size=16)
