"""Cascade Mask R-CNN, dynamic DWNet-B, COCO, 3x. Published: box AP 51.2, mask AP 44.4
(Atten4Vis/DemystifyLocalViT@ce7c0b7:downstreams/detection/README.md).

    tools/dist_train.sh configs/cascade_maskrcnn_dwnet_dynamic_b_3x_coco.py 8 --amp

All of the recipe is published, in the configs of the authors' repository. Norms in the blocks decay, since the authors'
rule goes by the name `norm` and they call them bn.
"""
_base_ = ['_base_/cascade_mask_rcnn.py', '_base_/coco_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.DWNet',
        arch='dynamic_dwnet_base',
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://dwnet/dynamic_dwnet_base')),
    neck=dict(in_channels=[128, 256, 512, 1024]))
sync_bn = 'torch'
