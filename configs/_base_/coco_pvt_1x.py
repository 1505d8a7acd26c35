"""COCO instances, 12 epochs at 1333x800, AdamW 2e-4: PVT's recipe for Mask R-CNN.

8 GPUs x 2 images. Weight decay spares nothing.
"""
# By path: for `mmdet::` mmengine reads all of mmdet's metafiles, which takes longer than everything else.
_base_ = [
    __import__('mmdet').__path__[0] + '/.mim/configs/_base_/' + path
    for path in ('datasets/coco_instance.py', 'schedules/schedule_1x.py', 'default_runtime.py')
]
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=2e-4, weight_decay=1e-4))
auto_scale_lr = dict(enable=False, base_batch_size=16)
