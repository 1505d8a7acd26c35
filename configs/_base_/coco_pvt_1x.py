"""COCO instances, 12 epochs at 1333x800, AdamW 2e-4: PVT's recipe for Mask R-CNN.

8 GPUs x 2 images. Weight decay spares nothing.
"""
_base_ = [
    'mmdet::_base_/datasets/coco_instance.py', 'mmdet::_base_/schedules/schedule_1x.py',
    'mmdet::_base_/default_runtime.py'
]
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=2e-4, weight_decay=1e-4))
auto_scale_lr = dict(enable=False, base_batch_size=16)
