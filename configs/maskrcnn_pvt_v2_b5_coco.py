"""Mask R-CNN, PVTv2-B5, COCO, 1x. Published: box AP 47.4, mask AP 42.5 (arXiv 2106.13797, Table 3;
whai362/PVT@57e2dfa:detection/README.md).

    tools/dist_train.sh configs/maskrcnn_pvt_v2_b5_coco.py 8

All of the recipe is published (whai362/PVT@57e2dfa:detection). The learning rate is that of the released config, 2e-4
/ 1.4 for one image a GPU; the paper says 1e-4. Weight decay spares nothing.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_pvt_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.PyramidVisionTransformerV2',
        arch='b5',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://pvt_v2/b5')),
    neck=dict(in_channels=[64, 128, 320, 512]))
train_dataloader = dict(batch_size=1)
optim_wrapper = dict(optimizer=dict(lr=2e-4 / 1.4))
auto_scale_lr = dict(base_batch_size=8)
