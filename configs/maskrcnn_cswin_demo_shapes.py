"""Mask R-CNN with a very small CSWin on the procedural shapes: what `make demo` trains.

    python tools/make_shapes.py data/shapes && python tools/train.py configs/maskrcnn_cswin_demo_shapes.py

Everything is narrower than in the COCO configs, and norms stand in neck and heads, since nothing is pre-trained.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/shapes.py']
dims = [32, 64, 128, 256]
channels = 48
norm_cfg = dict(type='BN')
model = dict(
    backbone=dict(
        type='mmvit_backbones.CSWinTransformer',
        arch=dict(dims=dims, depths=(1, 1, 3, 1), num_heads=(2, 4, 8, 8), stripes=(1, 2, 4, None), mlp_ratio=2)),
    neck=dict(in_channels=dims, out_channels=channels, norm_cfg=norm_cfg),
    rpn_head=dict(in_channels=channels, feat_channels=channels, anchor_generator=dict(scales=[4])),
    roi_head=dict(
        bbox_roi_extractor=dict(
            out_channels=channels, finest_scale=28, roi_layer=dict(sampling_ratio=1)),
        bbox_head=dict(
            type='ConvFCBBoxHead',
            num_shared_convs=1,
            num_shared_fcs=1,
            in_channels=channels,
            conv_out_channels=channels,
            fc_out_channels=256,
            norm_cfg=norm_cfg,
            num_classes=6),
        mask_roi_extractor=dict(
            out_channels=channels, finest_scale=28, roi_layer=dict(sampling_ratio=1)),
        mask_head=dict(
            in_channels=channels, conv_out_channels=32, num_convs=2, norm_cfg=norm_cfg, num_classes=6)),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=64)),
        rpn_proposal=dict(nms_pre=200, max_per_img=100),
        rcnn=dict(sampler=dict(num=32, pos_fraction=0.4))),
    test_cfg=dict(rpn=dict(nms_pre=200, max_per_img=50)))
