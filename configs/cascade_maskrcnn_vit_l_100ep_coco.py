"""Cascade Mask R-CNN, ViTDet-L, COCO, 100 epochs. Published: box AP 57.6, mask AP 50.0
(facebookresearch/detectron2@02b5c4e:projects/ViTDet/README.md; arXiv 2203.16527).

    tools/dist_train.sh configs/cascade_maskrcnn_vit_l_100ep_coco.py 8 --amp

All of the recipe is published, in the configs of the authors' repository. Their iterations are epochs here.
"""
_base_ = ['_base_/cascade_mask_rcnn_vitdet.py', '_base_/coco_vitdet_100ep.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.VisionTransformer',
        arch='vit_large_patch16_224',
        window=14,
        global_blocks=(5, 11, 17, 23),
        pyramid='last',
        drop_path_rate=0.4,
        with_cp=True,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://vit/vit_large_patch16_224_mae')),
    neck=dict(
        _delete_=True,
        type='mmvit_backbones.SimpleFeaturePyramid',
        in_channels=[256, 512, 1024, 1024],
        out_channels=256,
        num_outs=5))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay=0.8))
