"""A very small CSWin learns to name the procedural shapes: pre-training for the demo's Mask R-CNN, in two minutes.

    python tools/make_shapes.py data/shapes && python tools/train.py configs/classifier_cswin_demo_shapes.py

docs/pretraining.md has the accuracy, and what these weights are worth to the detector.
"""
_base_ = ['_base_/classifier.py', '_base_/shapes_classes.py']
dims = [32, 64, 128, 256]
model = dict(
    backbone=dict(
        type='mmvit_backbones.CSWinTransformer',
        arch=dict(dims=dims, depths=(1, 1, 3, 1), num_heads=(2, 4, 8, 8), stripes=(1, 2, 4, None), mlp_ratio=2)),
    head=dict(in_channels=dims[3], num_classes=6, loss=dict(_delete_=True, type='CrossEntropyLoss')),
    train_cfg=None)
