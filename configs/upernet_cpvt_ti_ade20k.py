"""UPerNet, CPVT-Ti, ADE20K, 160k. Nothing is published for segmentation with these columns.

    tools/dist_train.sh configs/upernet_cpvt_ti_ade20k.py 8

Chosen: mmseg's recipe for plain ViTs, which is that of most transformer backbones; drop path 0.1, that of
classification. Weight decay spares the class token and the positional encoding generator, too. No weights are
published: trains from random weights unless init_cfg names a file of yours.
"""
_base_ = ['_base_/upernet.py', '_base_/ade20k_160k.py']
model = dict(
    backbone=dict(type='mmvit_backbones.CPVT', arch='cpvt_ti', drop_path_rate=0.1),
    decode_head=dict(in_channels=[192, 192, 192, 192]),
    auxiliary_head=dict(in_channels=192))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'cls_token': dict(decay_mult=0.), '.peg.': dict(decay_mult=0.)}))
