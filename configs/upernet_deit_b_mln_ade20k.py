"""UPerNet, DeiT-B with MultiLevelNeck, ADE20K, 160k. Published: mIoU 45.46, multi-scale 47.16
(open-mmlab/mmsegmentation@08272b6:configs/vit/README.md).

    tools/dist_train.sh configs/upernet_deit_b_mln_ade20k.py 8

All of the recipe is published, in mmseg's configs. The neck brings the four blocks to strides 4, 8, 16 and 32.
"""
_base_ = 'upernet_deit_b_ade20k.py'
model = dict(
    neck=dict(
        type='MultiLevelNeck', in_channels=[768, 768, 768, 768], out_channels=768, scales=[4, 2, 1, 0.5]))
