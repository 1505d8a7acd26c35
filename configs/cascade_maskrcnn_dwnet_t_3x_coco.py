"""Cascade Mask R-CNN, DWNet-T, COCO, 3x. Published: box AP 49.9, mask AP 43.4
(Atten4Vis/DemystifyLocalViT@ce7c0b7:downstreams/detection/README.md).

    tools/dist_train.sh configs/cascade_maskrcnn_dwnet_t_3x_coco.py 8 --amp

All of the recipe is published, in the configs of the authors' repository. Norms in the blocks decay, since the authors'
rule goes by the name `norm` and they call them bn.
"""
_base_ = ['_base_/cascade_mask_rcnn.py', '_base_/coco_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.DWNet',
        arch='dwnet_tiny',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://dwnet/dwnet_tiny')),
    neck=dict(in_channels=[96, 192, 384, 768]))
sync_bn = 'torch'
