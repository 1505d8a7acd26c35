"""COCO instances, 12 epochs at 1333x800, AdamW: the recipe of most transformer backbones, after Swin.

8 GPUs x 2 images. Weight decay spares norms and position tables, as Swin's configs do.
"""
# By path: for `mmdet::` mmengine reads all of mmdet's metafiles, which takes longer than everything else.
_base_ = [
    __import__('mmdet').__path__[0] + '/.mim/configs/_base_/' + path
    for path in ('datasets/coco_instance.py', 'schedules/schedule_1x.py', 'default_runtime.py')
]
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(custom_keys=dict(norm=dict(decay_mult=0.), relative_position_bias_table=dict(decay_mult=0.))))
auto_scale_lr = dict(enable=False, base_batch_size=16)
