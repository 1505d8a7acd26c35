"""Semantic FPN, PVTv2-B2-Linear, ADE20K, 40k. Published: mIoU 45.1 (arXiv 2106.13797, Table 5).

    tools/dist_train.sh configs/semfpn_pvt_v2_b2_li_40k_ade20k.py 8

Chosen: the recipe published for the other variants (whai362/PVTv2-Seg@db8b6fe). Learning rate 2e-4 with 32 images an
iteration; the paper says 1e-4 with 16. Test images are stretched to multiples of 32.
"""
_base_ = ['_base_/semantic_fpn.py', '_base_/ade20k_40k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.PyramidVisionTransformerV2',
        arch='b2_li',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://pvt_v2/b2_li')),
    neck=dict(in_channels=[64, 128, 320, 512]))
