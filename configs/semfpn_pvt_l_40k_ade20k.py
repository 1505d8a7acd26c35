"""Semantic FPN, PVT-Large, ADE20K, 40k. Published: mIoU 43.5 (whai362/PVT@57e2dfa:segmentation/README.md, the column
of the released code).

    tools/dist_train.sh configs/semfpn_pvt_l_40k_ade20k.py 8

All of the recipe is published (whai362/PVT@57e2dfa:segmentation): 32 images an iteration, and test images stretched to
multiples of 32. The paper's own recipe is semfpn_pvt_l_ade20k.py.
"""
_base_ = ['_base_/semantic_fpn.py', '_base_/ade20k_40k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.PyramidVisionTransformer',
        arch='large',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://pvt/large')),
    neck=dict(in_channels=[64, 128, 320, 512]))
