"""UPerNet, DeiT-S with MultiLevelNeck, ADE20K, 160k. Published: mIoU 43.82, multi-scale 45.07
(open-mmlab/mmsegmentation@08272b6:configs/vit/README.md).

    tools/dist_train.sh configs/upernet_deit_s_mln_ade20k.py 8

All of the recipe is published, in mmseg's configs. The neck brings the four blocks to strides 4, 8, 16 and 32.
"""
_base_ = 'upernet_deit_s_ade20k.py'
model = dict(
    neck=dict(
        type='MultiLevelNeck', in_channels=[384, 384, 384, 384], out_channels=384, scales=[4, 2, 1, 0.5]))
