"""OCRNet, HRFormer-S, ADE20K, 150k. Published: mIoU 44.0, multi-scale 45.1 (HRNet/HRFormer@1245b88:README.md).

    tools/dist_train.sh configs/ocrnet_hrformer_s_ade20k.py 8

All of the recipe is published; where the README (8 images an iteration) and the config file (16) differ, the README is
followed. Chosen: images are read as RGB, as in pre-training; the authors' segmentation reads BGR. Colours are distorted
as in mmseg, where the authors shift the brightness alone, and images keep their aspect, which the authors vary by a
tenth. Batch norms are synchronised between GPUs, as theirs are.
"""
_base_ = ['_base_/ocrnet.py', '_base_/ade20k_520_150k.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.HRFormer',
        arch='hrformer_s',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://hrformer/hrformer_s')),
    decode_head=[dict(head, in_channels=[32, 64, 128, 256]) for head in _base_.model.decode_head])
sync_bn = 'torch'
