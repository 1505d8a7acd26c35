"""RetinaNet, PVT-Small, COCO at 1066x640, 1x. Published: box AP 38.7 (arXiv 2102.12122, Table 11;
whai362/PVT@57e2dfa:detection/README.md).

    tools/dist_train.sh configs/retinanet_pvt_s_640_coco.py 8

All of the recipe is published (whai362/PVT@57e2dfa:detection). Weight decay spares nothing.
"""
_base_ = ['_base_/retinanet.py', '_base_/coco_box_pvt_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.PyramidVisionTransformer',
        arch='small',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://pvt/small')),
    neck=dict(in_channels=[64, 128, 320, 512]))
resize = dict(type='Resize', scale=(1066, 640), keep_ratio=True)
train_pipeline = _base_.train_pipeline
train_pipeline[2] = resize
test_pipeline = _base_.test_pipeline
test_pipeline[1] = resize
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
