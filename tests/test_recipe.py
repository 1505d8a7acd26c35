"""Any backbone under any recipe: what stands around it follows, and what can't is named."""
import copy
import importlib
import inspect
import re

import pytest
import torch
from conftest import ROOT, backbone_class, call
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, DefaultScope

from mmvit_backbones import list_backbones
from mmvit_backbones.engine import set_backbone
from mmvit_backbones.engine.config import UsageError, load_config, run_name
from mmvit_backbones.engine.data import nodes
from mmvit_backbones.engine.examples import random_batch

ALL, DEEP, LAST = (0, 1, 2, 3), (1, 2, 3), (3, )
STOCK = {
    'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py': ALL,
    'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py': ALL,
    'mmdet::cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py': ALL,
    'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py': DEEP,
    'mmdet::atss/atss_r50_fpn_1x_coco.py': DEEP,
    'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py': DEEP,
    'mmdet::pafpn/faster-rcnn_r50_pafpn_1x_coco.py': ALL,
    'mmdet::yolof/yolof_r50-c5_8xb8-1x_coco.py': LAST,
    'mmdet::yolo/yolov3_d53_8xb8-320-273e_coco.py': DEEP,
    'mmdet::yolox/yolox_tiny_8xb8-300e_coco.py': DEEP,
    'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py': DEEP,
    'mmdet::detr/detr_r50_8xb2-150e_coco.py': LAST,
    'mmdet::deformable_detr/deformable-detr-refine-twostage_r50_16xb2-50e_coco.py': DEEP,
    'mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py': DEEP,
    'mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic.py': ALL,
    'mmdet::mask2former/mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco.py': ALL,
    'mmdet::soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py': ALL,
    'mmseg::upernet/upernet_r50_4xb4-80k_ade20k-512x512.py': ALL,
    'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py': ALL,
    'mmseg::sem_fpn/fpn_r50_4xb4-160k_ade20k-512x512.py': ALL,
    'mmseg::mask2former/mask2former_r50_8xb2-160k_ade20k-512x512.py': ALL,
}
"""{config of OpenMMLab's: levels that it reads}"""
KINDS = dict(windowed='swin/tiny', sra='pvt_v2/b0', columnar='t2t_vit/t2t_vit_7')
MASK_RCNN, RETINANET, UPERNET = 'configs/maskrcnn_swin_t_coco.py', 'configs/retinanet_pvt_s_coco.py', 'configs/upernet_swin_t_ade20k.py'
UNREAD = {}
_READ = {}


def stock(name):
    """A config of OpenMMLab's, read once."""
    if name not in _READ:
        _READ[name] = load_config(name)
    return copy.deepcopy(_READ[name])


def small_arch(name):
    """The variant's settings with one block a stage."""
    row = backbone_class(name).archs[name.split('/')[1]]
    return dict(row, depths=tuple(min(depth, 1) for depth in row['depths']))


@pytest.mark.parametrize('config', STOCK)
def test_channels(config):
    """Neck and heads ask for what the backbone gives."""
    for name in KINDS.values():
        cfg = set_backbone(stock(config), name)
        model = cfg.model.get('detector', cfg.model)
        weights = dict(type='Pretrained', checkpoint=f'mmvit://{name}')
        assert {**model.backbone, **list_backbones()[name], 'init_cfg': weights} == model.backbone
        with torch.device('meta'):
            backbone = MODELS.build(dict(model.backbone, init_cfg=None))
        assert backbone.out_indices == STOCK[config]
        channels = list(backbone.out_channels)
        if model.get('neck'):
            asked = model.neck.in_channels
            assert (asked if isinstance(asked, int) else sorted(asked)) == (channels[0] if isinstance(asked, int) else channels)
            assert not model.neck.get('start_level')
        for key in ('decode_head', 'auxiliary_head', 'panoptic_head') if not model.get('neck') else ():
            head = model.get(key) or dict(in_channels=channels)
            index = head.get('in_index', range(len(channels)))
            assert head['in_channels'] == (channels[index] if isinstance(index, int) else [channels[i] for i in index])


def small(cfg):
    """The model of a config, with few proposals, queries and layers of transformers."""
    model = copy.deepcopy(cfg.model.get('detector', cfg.model))
    for _, node in nodes(model, None, 'model'):
        for key, value in dict(num_queries=20, max_per_img=20, nms_pre=20, num_points=16).items():
            if isinstance(node.get(key), int) and node[key] > 16:
                node[key] = value
        for key in ('encoder', 'decoder', 'transformer_decoder'):
            if 'num_layers' in (node.get(key) or ()):
                node[key].num_layers = 1
        node.pop('batch_augments', None)
        if 'sampler' in node and 'num' in node.sampler:
            node.sampler.num = 16
    if 'size' in model.data_preprocessor:
        model.data_preprocessor.size = (64, 64)
    return MODELS.build(model)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('config', STOCK)
def test_a_step(config, kind):
    """One loss, gradients for all of the backbone and the neck, one prediction."""
    torch.manual_seed(0)
    name = KINDS[kind]
    cfg = set_backbone(stock(config), name, arch=small_arch(name), init_cfg=None)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = small(cfg)
        model.init_weights()
        model.train()
        data = model.data_preprocessor(random_batch(cfg, 2, (64, 64)), training=True)
        loss, _ = model.parse_losses(model.loss(data['inputs'], data['data_samples']))
        loss.backward()
        unread = [key for key, value in model.named_parameters()
                  if key.startswith(('backbone.', 'neck.')) and value.requires_grad and value.grad is None]
        assert torch.isfinite(loss) and unread == []
        model.eval()
        with torch.no_grad():
            result = model.predict(data['inputs'], data['data_samples'])[0]
    assert 'pred_instances' in result or 'pred_panoptic_seg' in result or result.pred_sem_seg.shape == (64, 64)
