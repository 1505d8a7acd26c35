"""Semantic FPN, FCViT-B12, ADE20K, 40k. Published: mIoU 43.3 (ma-xu/FCViT@77e5a9d:segmentation/README.md).

    tools/dist_train.sh configs/semfpn_fcvit_b12_40k_ade20k.py 8

All of the recipe is published (ma-xu/FCViT@77e5a9d:segmentation) and is PVT's, but for drop path, of which there is
none. Test images are stretched to multiples of 32.
"""
_base_ = ['_base_/semantic_fpn.py', '_base_/ade20k_40k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.FCViT',
        arch='b12',
        drop_path_rate=0.,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://fcvit/b12')),
    neck=dict(in_channels=[64, 128, 320, 512]))
