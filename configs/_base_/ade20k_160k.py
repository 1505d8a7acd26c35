"""ADE20K, 160k iterations on 512x512 crops, AdamW: the recipe of most transformer backbones, after Swin.

8 GPUs x 2 images. Weight decay spares norms and position tables, as in Swin. ``tools/test.py --tta`` averages
over six scales (0.5 to 1.75) and flips.
"""
# By path, since the maintained fork's mmengine does not find `mmseg::`.
_base_ = [
    __import__('mmseg').__path__[0] + '/.mim/configs/_base_/' + path
    for path in ('datasets/ade20k.py', 'schedules/schedule_160k.py', 'default_runtime.py')
]
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(custom_keys=dict(norm=dict(decay_mult=0.), relative_position_bias_table=dict(decay_mult=0.))))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', eta_min=0., power=1., begin=1500, end=160000, by_epoch=False)
]
tta_pipeline = [  # scales of the test size, as in the papers; mmseg's own takes them of the image as it is
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[[
            dict(type='Resize', scale=(int(2048 * ratio), int(512 * ratio)), keep_ratio=True)
            for ratio in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
        ], [dict(type='RandomFlip', prob=float(flip), direction='horizontal') for flip in (0, 1)],
                    [dict(type='LoadAnnotations', reduce_zero_label=True)], [dict(type='PackSegInputs')]])
]
train_dataloader = dict(batch_size=2)
auto_scale_lr = dict(enable=False, base_batch_size=16)
