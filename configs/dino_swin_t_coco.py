"""DINO, Swin-T, COCO boxes, 1x: an example of a DETR-type detector, which reads three levels. No published figures.

    tools/dist_train.sh configs/dino_swin_t_coco.py 8

All but the backbone is mmdet's config for ResNet-50. It makes its fourth level itself, from the last one here.
"""
# By path: for `mmdet::` mmengine reads all of mmdet's metafiles, which takes longer than everything else.
_base_ = __import__('mmdet').__path__[0] + '/.mim/configs/dino/dino-4scale_r50_8xb2-12e_coco.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmvit_backbones.SwinTransformer',
        arch='tiny',
        out_indices=(1, 2, 3),
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://swin/tiny')),
    neck=dict(in_channels=[192, 384, 768]))
