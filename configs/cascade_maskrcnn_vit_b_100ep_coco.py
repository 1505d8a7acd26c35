"""Cascade Mask R-CNN, ViTDet-B, COCO, 100 epochs. Published: box AP 54.0, mask AP 46.7
(facebookresearch/detectron2@02b5c4e:projects/ViTDet/README.md; arXiv 2203.16527).

    tools/dist_train.sh configs/cascade_maskrcnn_vit_b_100ep_coco.py 8 --amp

All of the recipe is published, in the configs of the authors' repository. Their iterations are epochs here.
"""
_base_ = ['_base_/cascade_mask_rcnn_vitdet.py', '_base_/coco_vitdet_100ep.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.VisionTransformer',
        arch='vit_base_patch16_224',
        window=14,
        global_blocks=(2, 5, 8, 11),
        pyramid='last',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://vit/vit_base_patch16_224_mae')),
    neck=dict(
        _delete_=True,
        type='mmvit_backbones.SimpleFeaturePyramid',
        in_channels=[192, 384, 768, 768],
        out_channels=256,
        num_outs=5))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay=0.7))
