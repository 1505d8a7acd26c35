"""OCRNet, HRFormer-B with windows of 13, ADE20K, 150k. Published: mIoU 48.7, multi-scale 50.0
(HRNet/HRFormer@1245b88:README.md).

    tools/dist_train.sh configs/ocrnet_hrformer_b_w13_ade20k.py 8

Published and chosen are as in ocrnet_hrformer_b_ade20k.py. The tables of positions are interpolated from windows of 7,
as by the authors.
"""
_base_ = 'ocrnet_hrformer_b_ade20k.py'
model = dict(
    backbone=dict(
        arch=dict(__import__('mmvit_backbones').HRFormer.archs['hrformer_b'], window=13, _delete_=True)))
