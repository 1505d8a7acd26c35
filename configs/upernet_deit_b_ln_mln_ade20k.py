"""UPerNet, DeiT-B with a last norm and MultiLevelNeck, ADE20K, 160k. Published: mIoU 45.37, multi-scale 47.23
(open-mmlab/mmsegmentation@08272b6:configs/vit/README.md).

    tools/dist_train.sh configs/upernet_deit_b_ln_mln_ade20k.py 8

All of the recipe is published, in mmseg's configs.
"""
_base_ = 'upernet_deit_b_mln_ade20k.py'
model = dict(backbone=dict(out_norm=True))
