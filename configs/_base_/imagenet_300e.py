"""ImageNet-1k at 224, 300 epochs: what nearly all papers of transformer backbones have from DeiT, by way of Swin.

8 GPUs x 128 images. RandAugment m9-mstd0.5-inc1 and erasing 0.25 come from mmpretrain, as do AdamW 1e-3 and weight decay
0.05. Evaluation is that of Swin-T; --backbone brings that of the backbone's own weights.
"""
# By path, since the maintained fork's mmengine does not find `mmpretrain::`.
_base_ = [
    __import__('mmpretrain').__path__[0] + '/.mim/configs/_base_/' + path
    for path in ('datasets/imagenet_bs64_swin_224.py', 'schedules/imagenet_bs1024_adamw_swin.py', 'default_runtime.py')
]
test_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow', color_type='color_ignore_orientation'),
    dict(type='ResizeEdge', scale=256, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs')
]
train_dataloader = dict(batch_size=128)
val_dataloader = dict(batch_size=128, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(
    constructor='mmvit_backbones.LayerDecayOptimWrapperConstructor',  # knows what backbones exempt from weight decay
    paramwise_cfg=dict(
        _delete_=True, layer_decay=1., norm_decay_mult=0., bias_decay_mult=0., flat_decay_mult=0.))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=True, begin=0, end=20, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=True, begin=20, end=300, convert_to_iter_based=True)
]
default_hooks = dict(checkpoint=dict(max_keep_ckpts=2))
auto_scale_lr = dict(enable=False, base_batch_size=1024)
