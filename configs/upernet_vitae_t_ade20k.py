"""UPerNet, ViTAE-T, ADE20K, 160k. Nothing is published for segmentation with this model.

    tools/dist_train.sh configs/upernet_vitae_t_ade20k.py 8

Chosen: the recipe of ViTAEv2-S (ViTAE-Transformer/ViTAE-Transformer@aebf1d7:Semantic-Segmentation). Batch norms beside
the attention decay there too, since the authors' rule goes by the name `norm` and they call them PCM.1. The levels are
those of the backbone's default pyramid.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    data_preprocessor=dict(test_cfg=dict(size_divisor=32)),
    backbone=dict(
        type='mmvit_backbones.ViTAE',
        arch='vitae_t',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://vitae/vitae_t')),
    decode_head=dict(in_channels=[256, 256, 256, 256]),
    auxiliary_head=dict(in_channels=256))
