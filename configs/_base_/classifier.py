"""An image classifier of one linear layer, which learns from mixed images and smoothed labels."""
model = dict(
    type='mmvit_backbones.classifiers.ImageClassifier',
    backbone=dict(out_type='pooled'),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        init_cfg=dict(type='TruncNormal', layer='Linear', std=.02, bias=0.),
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')),
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.)]))
