"""UPerNet, DeiT-B, ADE20K, 160k. Published: mIoU 45.36, multi-scale 47.16
(open-mmlab/mmsegmentation@08272b6:configs/vit/README.md).

    tools/dist_train.sh configs/upernet_deit_b_ade20k.py 8

All of the recipe is published, in mmseg's configs. The heads read four blocks as they are, all of stride 16, without a
norm behind the last. Norms decay, since mmseg's rule goes by the name `norm` and its backbone calls them ln. Positions
stay a table of 14 x 14, which is interpolated for each image; mmseg brings it to 32 x 32 when weights are loaded.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.DeiT',
        arch='deit_base_patch16_224',
        pyramid='raw',
        out_norm=False,
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://deit/deit_base_patch16_224')),
    decode_head=dict(in_channels=[768, 768, 768, 768]),
    auxiliary_head=dict(in_channels=768, in_index=3))
optim_wrapper = dict(
    paramwise_cfg=dict(_delete_=True, custom_keys=dict(pos_embed=dict(decay_mult=0.), cls_token=dict(decay_mult=0.))))
