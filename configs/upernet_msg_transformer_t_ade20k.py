"""UPerNet, MSG-Transformer-T, ADE20K, 160k. Nothing is published for UPerNet with this family.

    tools/dist_train.sh configs/upernet_msg_transformer_t_ade20k.py 8

Chosen: the recipe of most transformer backbones, so that they can be compared under one; drop path 0.1, that of
classification. Weight decay spares `rel_pos_msg` and not `msg_tokens`, as in the authors' code for classification.
Shuffle sizes are the paper's for detection, as recollected. No weights are published: trains from random weights
unless init_cfg names a file of yours.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.MSGTransformer',
        arch='tiny',
        shuffle_sizes=(4, 4, 8, 4),
        drop_path_rate=0.1),
    decode_head=dict(in_channels=[64, 128, 256, 512]),
    auxiliary_head=dict(in_channels=256))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(rel_pos_msg=dict(decay_mult=0.))))
