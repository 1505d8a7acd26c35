"""UPerNet, SwinV2-L pre-trained on ImageNet-22k, windows of 40, ADE20K, 640x640 crops, 40k. Published: multi-scale mIoU
55.9 (arXiv 2111.09883, Table 4).

    tools/dist_train.sh configs/upernet_swin_v2_l_w40_40k_ade20k.py 8

Published: optimizer, batch size, schedule, drop path, crop size, window; no code. Chosen: windows of 40 in all stages;
8 images a GPU; the heads of Swin's configs. Weight decay spares what it spares in classification.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_640_160k.py']
arch = dict(__import__('mmvit_backbones').SwinTransformerV2.archs['large_window12_192_22k'], window=(40, ) * 4)
model = dict(
    data_preprocessor=dict(size=(640, 640)),
    backbone=dict(
        type='mmvit_backbones.SwinTransformerV2',
        arch=arch,
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://swin_v2/large_window12_192_22k')),
    decode_head=dict(in_channels=[192, 384, 768, 1536]),
    auxiliary_head=dict(in_channels=768))
decay = {key: dict(decay_mult=0.) for key in ('position.mlp', 'logit_scale', 'q_bias', 'v_bias')}
optim_wrapper = dict(optimizer=dict(weight_decay=0.05), paramwise_cfg=dict(custom_keys=decay))
train_cfg = dict(max_iters=40000, val_interval=4000)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=375),
    dict(type='PolyLR', eta_min=0., power=1., begin=375, end=40000, by_epoch=False)
]
train_dataloader = dict(batch_size=8)
auto_scale_lr = dict(base_batch_size=64)
