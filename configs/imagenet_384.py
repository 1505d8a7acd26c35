"""ImageNet-1k, 30 epochs at 384 from weights of 224: Swin's fine-tuning; --backbone names any other. Position and bias
tables are resized as they are loaded. No published figures are of this very recipe.

    tools/dist_train.sh configs/imagenet_384.py 16 --amp --backbone pvt_v2/b1

From weights of your own: --cfg-options model.init_cfg.checkpoint=work_dirs/imagenet-pvt_v2-b1/epoch_300.pth
"""
_base_ = 'imagenet.py'
size = 384
train_pipeline = _base_.train_dataloader.dataset.pipeline
train_pipeline[1].scale = size
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = test_pipeline[2].crop_size = size
model = dict(init_cfg=dict(type='Pretrained', checkpoint='mmvit://swin/tiny'))
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=64, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=4e-5, weight_decay=1e-8))
train_cfg = dict(max_epochs=30)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=4e-7, by_epoch=True, begin=5, end=30, convert_to_iter_based=True)
]
