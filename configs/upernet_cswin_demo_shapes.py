"""UPerNet with a very small CSWin on the procedural shapes: the second part of `make demo`.

    python tools/make_shapes.py data/shapes && python tools/train.py configs/upernet_cswin_demo_shapes.py
"""
_base_ = ['_base_/upernet.py', '_base_/shapes_semantic.py']
dims = [32, 64, 128, 256]
channels = 48
model = dict(
    data_preprocessor=dict(size=(128, 128)),
    backbone=dict(
        type='mmvit_backbones.CSWinTransformer',
        arch=dict(dims=dims, depths=(1, 1, 3, 1), num_heads=(2, 4, 8, 8), stripes=(1, 2, 4, None), mlp_ratio=2)),
    decode_head=dict(in_channels=dims, channels=channels, num_classes=7),
    auxiliary_head=dict(in_channels=dims[2], channels=channels, num_classes=7))
