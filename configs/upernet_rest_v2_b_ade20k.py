"""UPerNet, ResTv2-B, ADE20K, 160k. Published: multi-scale mIoU 49.6
(wofmanaf/ResT@b9245d3:semantic_segmentation/README.md).

    tools/dist_train.sh configs/upernet_rest_v2_b_ade20k.py 8

All of the recipe is published (wofmanaf/ResT@b9245d3:semantic_segmentation), but for the rule of its decay of learning
rates by stage, 0.9, which is not in the repository: here they decay by layer, at that rate. Weight decay spares norms
and, as that rule does where it is known, biases.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.ResTV2',
        arch='base',
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://rest_v2/base')),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384))
optim_wrapper = dict(
    constructor='mmvit_backbones.LayerDecayOptimWrapperConstructor',
    optimizer=dict(lr=1.5e-4, weight_decay=0.05),
    paramwise_cfg=dict(layer_decay=0.9, bias_decay_mult=0.))
