"""COCO boxes, 12 epochs with shorter sides of 640 to 800, AdamW 1e-4: ResT's recipe for RetinaNet.

8 GPUs x 2 images. Weight decay spares norms.
"""
_base_ = 'coco_box_1x.py'
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type='MultiStepLR', begin=0, end=12, by_epoch=True, milestones=[8, 11], gamma=0.1)
]
train_pipeline = _base_.train_pipeline
train_pipeline[2] = dict(
    type='RandomChoiceResize', scales=[(short, 1333) for short in range(640, 801, 32)], keep_ratio=True)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
