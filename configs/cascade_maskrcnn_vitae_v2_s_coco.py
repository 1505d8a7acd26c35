"""Cascade Mask R-CNN, ViTAEv2-S, COCO, 1x. Published: box AP 50.6, mask AP 43.6
(ViTAE-Transformer/ViTAE-Transformer@aebf1d7:Object-Detection/README.md).

    tools/dist_train.sh configs/cascade_maskrcnn_vitae_v2_s_coco.py 8

All of the recipe is published (ViTAE-Transformer/ViTAE-Transformer@aebf1d7:Object-Detection). The 1x has the
multi-scale augmentation of the 3x. Batch norms beside the attention decay, since the authors' rule goes by the name
`norm` and they call them PCM.1.
"""
_base_ = ['_base_/cascade_mask_rcnn.py', '_base_/coco_ms_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.ViTAEv2',
        arch='vitaev2_s',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://vitae_v2/vitaev2_s')),
    neck=dict(in_channels=[64, 128, 256, 512]))
optim_wrapper = dict(optimizer=dict(weight_decay=0.045))
