"""RetinaNet, PVT-Large, COCO, 3x. Published: box AP 43.4 (arXiv 2102.12122, Table 3).

    tools/dist_train.sh configs/retinanet_pvt_l_3x_coco.py 8 --amp

Published: epochs and scales; no config. Chosen: the rest of the released 1x config, drop path and mixed precision
included; learning rate steps after epochs 27 and 33. Drop path is 0, since the authors' code passes none for this
size.
"""
_base_ = ['_base_/retinanet.py', '_base_/coco_box_pvt_3x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.PyramidVisionTransformer',
        arch='large',
        drop_path_rate=0.,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://pvt/large')),
    neck=dict(in_channels=[64, 128, 320, 512]))
