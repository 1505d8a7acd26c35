"""Any backbone under any recipe: what stands around it follows, and what can't is named."""
import copy

import pytest
import torch
from conftest import ROOT, backbone_class, call
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, DefaultScope

from mmvit_backbones import list_backbones
from mmvit_backbones.datasets import make_shapes
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
            assert ([asked] if isinstance(asked, int) else sorted(asked)) == channels
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


TWELVE = ('faster-rcnn_r50_fpn', 'mask-rcnn', 'cascade', 'retinanet', 'atss', 'deformable', 'dino', 'rtmdet',
          'mask2former_r50', 'upernet', 'segformer', 'fpn_r50')
STEPS = [(config, kind) for i, config in enumerate(STOCK) for j, kind in enumerate(KINDS)
         if config.split('/')[1].startswith(TWELVE) or i % 3 == j]
"""Each of the twelve with each kind; further configs with kinds in turn."""


@pytest.mark.parametrize('config, kind', STEPS)
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


@pytest.mark.parametrize('config', [
    'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py', 'mmdet::yolox/yolox_tiny_8xb8-300e_coco.py',
    'mmdet::soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py',
    'mmseg::upernet/upernet_r50_4xb4-80k_ade20k-512x512.py'
])
def test_what_belongs_to_the_former_backbone_goes(config):
    former = stock(config)
    cfg = set_backbone(copy.deepcopy(former), 'swin/tiny')
    model = cfg.model.get('detector', cfg.model)
    processors = [node for path, node in nodes(cfg.model, None, 'model') if 'mean' in node]
    assert len(processors) == (2 if 'detector' in cfg.model else 1)
    for node in processors:
        assert node['mean'] == [123.675, 116.28, 103.53] and node['std'] == [58.395, 57.12, 57.375]
        assert node['bgr_to_rgb'] is True
    assert set(model.backbone) == {'type', 'arch', 'drop_path_rate', 'init_cfg', 'out_indices'}
    assert model.get('pretrained') is None
    for key in ('train_dataloader', 'optim_wrapper', 'param_scheduler', 'train_cfg'):  # the recipe stays
        assert cfg[key] == former[key]


@pytest.mark.parametrize('config, name, rate', [
    ('configs/maskrcnn_pvt_s_coco.py', 'swin/tiny', .1),  # as long a training
    ('configs/maskrcnn_cswin_t_3x_coco.py', 'swin/tiny', .2),
    ('configs/maskrcnn_swin_t_coco.py', 'cswin/base', .5),
    ('mmdet::cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py', 'swin/tiny', 0.),
    ('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', 'swin/tiny', .1),
    ('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', 'twins_svt/base', .2),
    ('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', 'swin/tiny', 0.),  # nothing is published, and a ResNet has none
    ('mmseg::upernet/upernet_r50_4xb4-80k_ade20k-512x512.py', 'cswin/small', .4),
    ('mmseg::sem_fpn/fpn_r50_4xb4-160k_ade20k-512x512.py', 'twins_svt/large', .3),
    ('mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py', 'pvt_v2/b2', .1),  # the config's
    ('mmseg::swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512.py', 'pvt_v2/b2', .3),
])
def test_drop_path(config, name, rate):
    assert set_backbone(stock(config), name).model.backbone.drop_path_rate == rate
    assert set_backbone(stock(config), name, drop_path_rate=.7).model.backbone.drop_path_rate == .7


SINGLE = dict(type='FCNHead', channels=16, num_convs=1, num_classes=6)


@pytest.mark.parametrize('heads, out_indices, expected', [
    ((dict(in_channels=2048, in_index=3), dict(in_channels=1024, in_index=2)), (2, 3), ((768, 1), (384, 0))),
    ((dict(in_channels=2048), dict(in_channels=512, in_index=1)), (1, 3), ((768, None), (192, 0))),
    ((dict(in_channels=[256, 2048], in_index=[0, 3], input_transform='resize_concat'),
      dict(in_channels=1024, in_index=-2)), (0, 2, 3), (([96, 768], [0, 2]), (384, 1))),
])
def test_levels_that_nothing_reads(heads, out_indices, expected):
    """They are not given, and positions are counted among those that are."""
    cfg = stock('mmseg::upernet/upernet_r50_4xb4-80k_ade20k-512x512.py')
    cfg.model.decode_head, cfg.model.auxiliary_head = (ConfigDict(SINGLE, **head) for head in heads)
    set_backbone(cfg, 'swin/tiny', arch=small_arch('swin/tiny'), init_cfg=None)
    model = cfg.model
    assert model.backbone.out_indices == out_indices
    heads = model.decode_head, model.auxiliary_head
    assert tuple((head.in_channels, head.get('in_index')) for head in heads) == expected
    with DefaultScope.overwrite_default_scope('mmseg'):
        built = small(cfg)
        built.decode_head(built.extract_feat(torch.zeros(2, 3, 64, 64)))
        built.auxiliary_head(built.extract_feat(torch.zeros(2, 3, 64, 64)))


def test_names_of_parameters():
    """What a recipe says of a Swin's norms one by one, it says of the new backbone's; the rest stays."""
    cfg = stock('mmdet::mask2former/mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco.py')
    former = cfg.optim_wrapper.paramwise_cfg.custom_keys
    assert 'backbone.stages.2.blocks.5.norm' in former
    keys = set_backbone(copy.deepcopy(cfg), 'swin/small').optim_wrapper.paramwise_cfg.custom_keys
    assert keys['backbone.stages.2.blocks.17.norm'] == former['backbone.stages.2.blocks.5.norm']
    assert keys['backbone'] == former['backbone'] and keys['query_embed'] == former['query_embed']
    keys = set_backbone(copy.deepcopy(cfg), 'pvt_v2/b0').optim_wrapper.paramwise_cfg.custom_keys
    assert 'backbone.stages.2.blocks.1.norm' in keys and 'backbone.stages.2.blocks.5.norm' not in keys


def broken(config, **changes):
    cfg = stock(config)
    cfg.merge_from_dict(changes)
    return cfg


FASTER = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
FCN = 'mmseg::upernet/upernet_r50_4xb4-80k_ade20k-512x512.py'
WRONG = [
    (FASTER, {}, 'swin/tinny', 'swin/tiny'),
    (FASTER, {}, 'swin', 'swin/'),
    (FASTER, {}, 'msg_transformer/tiny', '--no-pretrained', 'configs/imagenet.py'),
    (FASTER, {'model.backbone': None}, 'swin/tiny', 'no backbone', 'model.backbone'),
    (FASTER, {'model.neck.in_channels': [256, 512, 1024]}, 'swin/tiny', 'model.neck.in_channels', '[256, 512, 1024]'),
    (FASTER, {'model.neck': None}, 'swin/tiny', 'model.roi_head', 'neck'),
    (FASTER, {'model.init_cfg': dict(type='Pretrained', checkpoint='x.pth')}, 'swin/tiny', 'model.init_cfg', 'x.pth'),
    (FASTER, {'model.neck.init_cfg': dict(type='Pretrained', checkpoint='x.pth')}, 'swin/tiny', 'model.neck.init_cfg'),
    (FASTER, {'model.other_backbone': dict(type='ResNet', depth=18)}, 'swin/tiny', 'model.other_backbone', 'several'),
    (FASTER, {'model.teacher_config': 'x.py'}, 'swin/tiny', 'model.teacher_config'),
    (FASTER, {'optim_wrapper.paramwise_cfg': dict(custom_keys={'backbone.layer1': dict(lr_mult=0.)})}, 'swin/tiny',
     'optim_wrapper.paramwise_cfg.custom_keys.backbone.layer1'),
    (FASTER, {'optim_wrapper.constructor': 'LearningRateDecayOptimizerConstructor'}, 'swin/tiny',
     'optim_wrapper.constructor'),
    (FASTER, {'model.neck.more_channels': [256, 512, 1024, 2048]}, 'swin/tiny', 'model.neck.more_channels'),
    ('mmdet::ssd/ssd300_coco.py', {}, 'swin/tiny', 'model.neck.out_channels'),
    ('mmdet::faster_rcnn/faster-rcnn_r50-caffe_c4-1x_coco.py', {}, 'swin/tiny', 'model.roi_head'),
    ('mmdet::rtmdet/rtmdet_x_p6_4xb8-300e_coco.py', {}, 'swin/tiny', 'model.neck.in_channels', 'stride 64'),
    ('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', {'model.neck': None, 'model.bbox_head.in_channels': 2048,
     'model.backbone.out_indices': (2, 3)}, 'swin/tiny', 'model.bbox_head.in_channels'),
    ('mmseg::pspnet/pspnet_r50-d8_4xb4-80k_ade20k-512x512.py', {}, 'swin/tiny', 'model.backbone.dilations'),
    (FCN, {'model.backbone.strides': (1, 2, 1, 1)}, 'swin/tiny', 'model.decode_head.in_channels', 'stride 8'),
    (FCN, {'model.auxiliary_head.in_channels': 77}, 'swin/tiny', 'model.auxiliary_head.in_channels', '77'),
    (FCN, {'model.auxiliary_head.in_index': 7}, 'swin/tiny', 'model.auxiliary_head.in_channels'),
]


@pytest.mark.parametrize('config, changes, name, words', [(*row[:3], row[3:]) for row in WRONG])
def test_what_can_not_be_matched(config, changes, name, words):
    """One line names the key, and the config stays as it was."""
    cfg = broken(config, **changes)
    before = cfg.pretty_text
    with pytest.raises(UsageError) as error:
        set_backbone(cfg, name)
    line = str(error.value)
    assert '\n' not in line and all(word in line for word in words), line
    assert cfg.pretty_text == before


def test_one_number_for_several_maps():
    """A head that takes no lists: it may read maps of one width, not those of a pyramid."""
    cfg = stock('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py')
    cfg.model.backbone = dict(type='mmvit_backbones.T2TViT', arch=small_arch('t2t_vit/t2t_vit_7'), out_indices=(2, 3))
    cfg.model.neck, cfg.model.bbox_head.in_channels = None, 256
    assert set_backbone(copy.deepcopy(cfg), 't2t_vit/t2t_vit_14').model.bbox_head.in_channels == 384
    with pytest.raises(UsageError, match='model.bbox_head.in_channels is one number.*384, 768.*FPN'):
        set_backbone(cfg, 'swin/tiny')


def test_options():
    with pytest.raises(UsageError, match='out_indices'):
        set_backbone(stock(FASTER), 'swin/tiny', out_indices=(0, 1))
    with pytest.raises(TypeError, match='depth'):
        set_backbone(stock(FASTER), 'swin/tiny', depth=50)
    assert set_backbone(stock(FASTER), 'msg_transformer/tiny', init_cfg=None).model.backbone.init_cfg is None
    cfg = load_config(FASTER, options={'model.backbone.with_cp': True}, backbone='swin/tiny')
    assert cfg.model.backbone.with_cp and cfg.model.backbone.arch == 'tiny', 'options come after the backbone'
    assert run_name(cfg.filename, 'swin/tiny') == 'faster-rcnn_r50_fpn_1x_coco-swin-tiny'


def test_a_model_to_start_from(tmp_path):
    """load_from of the config belongs to the former backbone, one of the command line to the new one."""
    path = tmp_path / 'config.py'
    path.write_text(f"_base_ = '{ROOT}/configs/fasterrcnn_swin_t_coco.py'\nload_from = 'former.pth'\n")
    with pytest.raises(UsageError, match='load_from'):
        load_config(str(path), backbone='pvt_v2/b0')
    for other in (None, 'own.pth'):
        assert load_config(str(path), options=dict(load_from=other), backbone='pvt_v2/b0').load_from == other
    assert load_config(str(path), backbone='pvt_v2/b0', pretrained=False).load_from == 'former.pth'


def test_own_config_back_and_forth():
    """A backbone of this package is replaced like another's."""
    cfg = load_config('configs/upernet_swin_t_ade20k.py')
    there = set_backbone(copy.deepcopy(cfg), 'pvt_v2/b0').model
    assert there.decode_head.in_channels == [32, 64, 160, 256] and there.auxiliary_head.in_channels == 160
    back = set_backbone(Config(dict(cfg, model=there)), 'swin/tiny').model
    assert back.pop('backbone') == dict(cfg.model.pop('backbone'), out_indices=ALL)
    assert back == cfg.model


@pytest.mark.parametrize('name, words', [
    ('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_cocoo.py', ('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', )),
    ('mmdet::', ('mmdet', 'no config')),
    ('mmnothing::x.py', ('mmdet::', 'mmseg::', 'mmpretrain::')),
])
def test_configs_that_are_not_there(name, words):
    with pytest.raises(UsageError) as error:
        load_config(name)
    assert all(word in str(error.value) for word in words)


def test_a_classifier():
    cfg = stock('mmpretrain::resnet/resnet50_8xb32_in1k.py')
    pretraining = set_backbone(copy.deepcopy(cfg), 'msg_transformer/tiny')
    assert pretraining.model.backbone.get('init_cfg') is None
    set_backbone(cfg, 'swin/tiny', arch=small_arch('swin/tiny'))
    assert 'neck' not in cfg.model and cfg.model.head.in_channels == 768 and cfg.model.backbone.out_type == 'pooled'
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model)
        data = random_batch(cfg, 2, (64, 64))
        inputs = torch.stack(data['inputs']).float()
        model(inputs, data['data_samples'], mode='loss')['loss'].backward()
        assert all(value.grad is not None for value in model.parameters())
        assert model(inputs, mode='predict')[0].pred_score.shape == (1000, )


@pytest.mark.parametrize('changes, words', [
    ({'model.neck': dict(_delete_=True, type='GeneralizedMeanPooling')}, 'model.neck'),
    ({'model.head': dict(_delete_=True, type='ClsHead')}, 'model.head'),
    ({'model.head': dict(_delete_=True, type='ConformerHead', num_classes=10, in_channels=[8, 8])}, 'model.head'),
    ({'model.type': 'BYOL'}, 'model.type'),
])
def test_classifiers_that_can_not_be_matched(changes, words):
    with pytest.raises(UsageError, match=words):
        set_backbone(broken('mmpretrain::resnet/resnet50_8xb32_in1k.py', **changes), 'swin/tiny')


def test_tools(tmp_path):
    """Train, evaluate and draw with a backbone that the config does not have; what the run leaves is named after it."""
    make_shapes(tmp_path / 'shapes', num_train=2, num_val=2, size=(64, 64))
    config, backbone = 'configs/maskrcnn_cswin_demo_shapes.py', ('--backbone', 'pvt_v2/b0')
    loaders = [f'{name}_dataloader.{setting}' for name in ('train', 'val', 'test')
               for setting in ('num_workers=0', 'persistent_workers=False', 'batch_size=2')]
    quick = ('--data-root', tmp_path / 'shapes', '--cfg-options', *loaders, 'train_cfg.max_epochs=1')
    run = tmp_path / 'run'
    out = call('train.py', config, *backbone, '--no-pretrained', '--work-dir', run, *quick)
    assert 'PyramidVisionTransformerV2' in out and (run / 'epoch_1.pth').is_file()
    out = call('test.py', config, run / 'epoch_1.pth', *backbone, '--work-dir', tmp_path / 'test', *quick)
    assert 'coco/bbox_mAP' in out
    images = tmp_path / 'shapes' / 'val2017'
    out = call('predict.py', config, run / 'epoch_1.pth', images, *backbone, '--out', tmp_path / 'drawn')
    assert '2 pictures' in out and len(list((tmp_path / 'drawn').iterdir())) == 2


def test_reproduce():
    """A published row's recipe with another backbone."""
    out = call('reproduce.py', 'maskrcnn_swin_t_coco', '--backbone', 'pvt_v2/b2', '--dry-run', '--gpus', '8')
    assert 'with the backbone pvt_v2/b2' in out and 'pvt_v2_b2.pth' in out
    assert 'train.sh configs/maskrcnn_swin_t_coco.py 8 --backbone pvt_v2/b2' in out
    assert '--work-dir work_dirs/maskrcnn_swin_t_coco-pvt_v2-b2' in out


def test_statistics_of_the_weights():
    """AugReg's ViT was trained with 0.5, whatever the config's former backbone was."""
    cfg = set_backbone(Config.fromfile(f'{ROOT}/configs/maskrcnn_swin_t_coco.py'), 'vit/vit_tiny_patch16_224', init_cfg=None)
    node = cfg.model.data_preprocessor
    assert list(node['mean']) == list(node['std']) == [127.5] * 3 and node['bgr_to_rgb'] is True


@pytest.mark.parametrize('name, head', [('deit/deit_tiny_distilled_patch16_224', 'DeiTClsHead'),
                                        ('lv_vit/lvvit_t', 'TokenLabelingHead'), ('swin/tiny', 'LinearClsHead')])
def test_heads_of_their_own(name, head):
    """A classifier of a backbone that reads more than one vector gets its head, and gives it back."""
    cfg = Config.fromfile(f'{ROOT}/configs/imagenet.py')
    for each in ('lv_vit/lvvit_t', name):
        set_backbone(cfg, each, init_cfg=None)
    assert cfg.model.head.type.rsplit('.')[-1] == head
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
        assert model(torch.empty(2, 3, 64, 64), mode='tensor').shape == (2, 1000)
