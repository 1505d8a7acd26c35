"""Semantic FPN, P2T-Base, ADE20K, 80k. Published: mIoU 48.7 (yuhuan-wu/P2T@acd5e64:README.md).

    tools/dist_train.sh configs/semfpn_p2t_b_ade20k.py 8

All of the recipe is published (yuhuan-wu/P2T@acd5e64:segmentation). Weight decay spares nothing. The authors stretch
test images to multiples of 32; here they stay as they are.
"""
_base_ = ['_base_/semantic_fpn.py', '_base_/ade20k_80k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.P2T',
        arch='base',
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://p2t/base')),
    neck=dict(in_channels=[64, 128, 320, 512]))
optim_wrapper = dict(clip_grad=dict(_delete_=True, max_norm=35, norm_type=2))
param_scheduler = [dict(type='PolyLR', eta_min=1e-6, power=0.9, begin=0, end=80000, by_epoch=False)]
train_dataloader = dict(batch_size=2)
