"""ImageNet-1k, 300 epochs at 224, in DeiT's way: 5 epochs of warm-up, and each image three times in an epoch of as
many steps. So the authors of PVT and PVTv2 train, Twins' without the repetition. No published figures are of this very
recipe. It starts from no weights.

    tools/dist_train.sh configs/imagenet_deit.py 8 --amp --backbone pvt_v2/b1
"""
_base_ = 'imagenet.py'
train_dataloader = dict(sampler=dict(_delete_=True, type='RepeatAugSampler', num_repeats=3))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=True, begin=5, end=300, convert_to_iter_based=True)
]
