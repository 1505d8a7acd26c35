"""UPerNet, LV-ViT-S, ADE20K, 160k. Published: mIoU 47.9, multi-scale 48.6
(zihangJiang/TokenLabeling@9dbfd59:README.md).

    tools/dist_train.sh configs/upernet_lv_vit_s_ade20k.py 8 --amp

All of the recipe is published, in the configs of the authors' repository, except: the number of GPUs, and the size of
the images that the weights are of. The authors' drop path is dropout in the MLPs. All that is trained decays. Norms are
synchronised between GPUs, as theirs are.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.LVViT',
        arch='upernet_lvvit_s',
        mlp_dropout=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://lv_vit/lvvit_s')),
    decode_head=dict(in_channels=[384, 384, 384, 2048], channels=256),
    auxiliary_head=dict(in_channels=384),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))
optim_wrapper = dict(paramwise_cfg=dict(_delete_=True))
train_dataloader = dict(batch_size=4)
auto_scale_lr = dict(enable=False, base_batch_size=32)
sync_bn = 'torch'
