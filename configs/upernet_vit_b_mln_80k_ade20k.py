"""UPerNet with MultiLevelNeck, ViT-B, ADE20K, 80k. Published: mIoU 47.71, multi-scale 49.51
(open-mmlab/mmsegmentation@08272b6:configs/vit/README.md).

    tools/dist_train.sh configs/upernet_vit_b_mln_80k_ade20k.py 8

Published: optimizer, schedule, crop size, drop path, neck, heads. Weight decay spares positions and the class token, but
not the backbone's norms. No level is
normed. Chosen: the weights, those that the published config's base names; it names a local file itself. The table of
positions keeps its size; theirs is enlarged before training.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.VisionTransformer',
        arch='vit_base_patch16_224',
        pyramid='raw',
        out_norm=False,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://vit/vit_base_patch16_224_orig')),
    neck=dict(type='MultiLevelNeck', in_channels=[768, 768, 768, 768], out_channels=768, scales=[4, 2, 1, 0.5]),
    decode_head=dict(in_channels=[768, 768, 768, 768]),
    auxiliary_head=dict(in_channels=768, in_index=3))
spared = dict(decay_mult=0.)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(_delete_=True, pos_embed=spared, cls_token=spared)))
train_cfg = dict(max_iters=80000)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', eta_min=0., power=1., begin=1500, end=80000, by_epoch=False)
]
