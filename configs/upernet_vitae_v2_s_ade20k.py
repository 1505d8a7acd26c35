"""UPerNet, ViTAEv2-S, ADE20K, 160k. Published: mIoU 44.95, multi-scale 47.98
(ViTAE-Transformer/ViTAE-Transformer@aebf1d7:Semantic-Segmentation/README.md).

    tools/dist_train.sh configs/upernet_vitae_v2_s_ade20k.py 8

All of the recipe is published (ViTAE-Transformer/ViTAE-Transformer@aebf1d7:Semantic-Segmentation). Batch norms beside
the attention decay, since the authors' rule goes by the name `norm` and they call them PCM.1.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    data_preprocessor=dict(test_cfg=dict(size_divisor=32)),
    backbone=dict(
        type='mmvit_backbones.ViTAEv2',
        arch='vitaev2_s',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://vitae_v2/vitaev2_s')),
    decode_head=dict(in_channels=[64, 128, 256, 512]),
    auxiliary_head=dict(in_channels=256))
