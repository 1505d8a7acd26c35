"""COCO boxes, 36 epochs with short sides of 640 to 800: the 3x of PVT's paper; else as coco_box_pvt_1x.py."""
_base_ = 'coco_box_pvt_1x.py'
max_epochs = 36
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', begin=0, end=max_epochs, by_epoch=True, milestones=[27, 33], gamma=0.1)
]
train_pipeline = _base_.train_pipeline
train_pipeline[2] = dict(type='RandomResize', scale=[(1333, 640), (1333, 800)], keep_ratio=True)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
