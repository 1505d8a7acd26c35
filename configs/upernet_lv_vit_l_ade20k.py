"""UPerNet, LV-ViT-L, ADE20K, 160k. Published: mIoU 50.9, multi-scale 51.8
(zihangJiang/TokenLabeling@9dbfd59:README.md).

    tools/dist_train.sh configs/upernet_lv_vit_l_ade20k.py 8 --amp

The recipe of LV-ViT-S's, with more dropout, wider heads, 2 images a GPU, and branches that are not divided, since the
authors' config leaves the constant out. Its table of positions has the size of the weights of 448 pixels.
"""
_base_ = 'upernet_lv_vit_s_ade20k.py'
model = dict(
    backbone=dict(arch='upernet_lvvit_l', mlp_dropout=0.5, init_cfg=dict(checkpoint='mmvit://lv_vit/lvvit_l_448')),
    decode_head=dict(in_channels=[768, 768, 768, 2048], channels=512),
    auxiliary_head=dict(in_channels=768, channels=512))
train_dataloader = dict(batch_size=2)
auto_scale_lr = dict(enable=False, base_batch_size=16)
