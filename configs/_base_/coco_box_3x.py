"""COCO boxes, for detectors without masks; else as coco_3x.py."""
_base_ = 'coco_3x.py'
boxes = dict(type='LoadAnnotations', with_bbox=True)
train_pipeline = _base_.train_pipeline
train_pipeline[1] = boxes
test_pipeline = _base_.test_pipeline
test_pipeline[2] = boxes
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(metric='bbox')
test_evaluator = val_evaluator
