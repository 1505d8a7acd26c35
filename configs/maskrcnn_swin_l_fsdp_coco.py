"""Mask R-CNN, Swin-L, COCO, 1x, with parameters and optimizer sharded over the GPUs: an example of FSDP, which mmengine
calls experimental. No published figures.

    tools/dist_train.sh configs/maskrcnn_swin_l_fsdp_coco.py 8

Modules of 5 M parameters and more, such as the blocks of the last two stages, are gathered one at a time; the rest of
the model together, such as the RPN head, whose forward method mmdet goes round. Checkpoints are whole: they fit this
config without its last lines.
"""
_base_ = ['_base_/mask_rcnn.py', '_base_/coco_1x.py']
model = dict(
    backbone=dict(
        type='mmvit_backbones.SwinTransformer',
        arch='large',
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint='mmvit://swin/large')),
    neck=dict(in_channels=[192, 384, 768, 1536]))
runner_type = 'FlexibleRunner'
strategy = dict(
    type='FSDPStrategy',
    state_dict_cfg='full',
    model_wrapper=dict(
        auto_wrap_policy=dict(type='torch.distributed.fsdp.wrap.size_based_auto_wrap_policy', min_num_params=5_000_000)))
