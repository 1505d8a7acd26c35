"""UPerNet, DeiT-B, ADE20K, 80k. Published: mIoU 45.24, multi-scale 46.73
(open-mmlab/mmsegmentation@08272b6:configs/vit/README.md).

    tools/dist_train.sh configs/upernet_deit_b_80k_ade20k.py 8

All of the recipe is published, in mmseg's configs.
"""
_base_ = 'upernet_deit_b_ade20k.py'
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', eta_min=0., power=1., begin=1500, end=80000, by_epoch=False)
]
train_cfg = dict(max_iters=80000, val_interval=8000)
default_hooks = dict(checkpoint=dict(interval=8000))
