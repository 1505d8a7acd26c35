"""Every config builds a model that fits together and learns."""
import copy
import os
import re
import sys
from pathlib import Path

import pytest
import torch
from conftest import ROOT, call
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope, init_default_scope

from mmvit_backbones.checkpoints import ZOO, read_checkpoint
from mmvit_backbones.datasets import make_shapes
from mmvit_backbones.engine.config import remove_pretrained
from mmvit_backbones.engine.examples import random_batch

CONFIGS = sorted((ROOT / 'configs').glob('*.py'))
RECIPES = [path for path in CONFIGS if not path.stem.endswith('_shapes')]
STEPS = {(path.stem.split('_')[0], *re.findall(r"'(mmvit_backbones\.\w+)'", path.read_text())[:1]): path for path in CONFIGS}
"""{method and family: the config that takes a training step in `make test`; the others do in `make test-long`}"""
BENCHMARKS = [path for path in RECIPES if 'No published figures' not in path.read_text()]


@pytest.fixture(params=CONFIGS, ids=lambda path: path.stem)
def cfg(request):
    cfg = Config.fromfile(request.param)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        init_default_scope(cfg.default_scope)
        yield cfg


def small(cfg):
    """The config's model with at most two blocks a stage, small windows and few proposals, without weights."""
    model = copy.deepcopy(cfg.model)
    remove_pretrained(model)
    model.setdefault('data_preprocessor', cfg.get('data_preprocessor'))  # as a runner does
    if 'pad_size_divisor' in model.data_preprocessor:
        model.data_preprocessor.pad_size_divisor = 32
    if 'rpn_proposal' in (model.train_cfg or ()):
        model.train_cfg.rpn_proposal.max_per_img = model.test_cfg.rpn.max_per_img = 32
        heads = model.train_cfg.rcnn
        for head in heads if isinstance(heads, list) else [heads]:
            head.sampler.num = 16
    if 'num_queries' in model:
        model.num_queries = 30  # a small image has few places for one
        model.encoder.num_layers = model.decoder.num_layers = 2
    cls = MODELS.get(model.backbone.type)
    row = model.backbone.arch if not isinstance(model.backbone.arch, str) else cls.archs[model.backbone.arch]
    model.backbone.arch = dict(row, depths=tuple(min(depth, 2) for depth in row['depths']))
    if 'global_blocks' in model.backbone:
        model.backbone.global_blocks = (1, )  # others may be gone
    if 'pretrained_window' in row:  # windows change no weights
        model.backbone.arch['window'] = tuple(min(window, 8) for window in row['window'])
    return MODELS.build(model)


def decode_heads(cfg):
    """Those of a segmentor; a cascade has several."""
    heads = cfg.model.decode_head
    return heads if isinstance(heads, list) else [heads]


def test_channels_fit(cfg):
    with torch.device('meta'):
        backbone = MODELS.build(dict(cfg.model.backbone, init_cfg=None))
    channels = list(backbone.out_channels)
    if 'neck' in cfg.model:
        assert cfg.model.neck.in_channels == channels
    elif cfg.default_scope == 'mmpretrain':
        assert [cfg.model.head.in_channels] == channels
    else:
        assert all(head.in_channels == channels for head in decode_heads(cfg))
        if 'auxiliary_head' in cfg.model:
            auxiliary = cfg.model.auxiliary_head
            assert auxiliary.in_channels == channels[auxiliary.in_index]


def test_no_weights_are_left():
    """A classifier has those of all of its parts, head included, beside them."""
    for cfg in (Config.fromfile(ROOT / 'configs' / 'imagenet_384.py'), Config.fromfile(ROOT / 'configs' / 'imagenet_384.py').model):
        assert 'mmvit://' in str(cfg)
        remove_pretrained(cfg)
        assert 'mmvit://' not in str(cfg)


@pytest.mark.parametrize(
    'cfg', [path if path in STEPS.values() else pytest.param(path, marks=pytest.mark.long) for path in CONFIGS],
    indirect=True, ids=lambda path: path.stem)
def test_a_training_step(cfg):
    torch.manual_seed(0)
    model = small(cfg).train()
    model.init_weights()  # DINO leaves a parameter as the memory was until then
    if cfg.default_scope == 'mmdet':
        from mmdet.testing import demo_mm_inputs
        classes = cfg.model.get('bbox_head', cfg.model.get('roi_head', {}).get('bbox_head'))
        classes = (classes[0] if isinstance(classes, list) else classes).num_classes
        data = demo_mm_inputs(2, [(3, 64, 96), (3, 96, 64)], num_classes=classes, with_mask=True)
    elif cfg.default_scope == 'mmpretrain':
        data = random_batch(cfg, 2, (64, 64))
    else:
        from mmengine.structures import PixelData
        from mmseg.structures import SegDataSample
        height, width = (max(64, side // 8) for side in cfg.model.data_preprocessor.size)
        model.data_preprocessor.size = (height, width)
        labels = torch.randint(0, decode_heads(cfg)[-1].num_classes, (2, 1, height, width))
        samples = [
            SegDataSample(gt_sem_seg=PixelData(data=label), metainfo=dict(ori_shape=(height, width), img_shape=(height, width)))
            for label in labels
        ]
        data = dict(inputs=[torch.randint(0, 256, (3, height, width)) for _ in samples], data_samples=samples)
    data = model.data_preprocessor(data, training=True)
    losses = model.loss(data['inputs'], data['data_samples'])
    loss, _ = model.parse_losses(losses)
    loss.backward()
    unused = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert torch.isfinite(loss) and unused == []
    model.eval()
    with torch.no_grad():
        results = model.predict(data['inputs'], data['data_samples'])
    assert len(results) == 2
    for result in results:
        if cfg.default_scope == 'mmdet':
            assert ('masks' in result.pred_instances) == model.with_mask
        elif cfg.default_scope == 'mmpretrain':
            assert result.pred_score.shape == (cfg.model.head.num_classes, )
        else:
            assert result.pred_sem_seg.shape == (height, width)


@pytest.mark.parametrize('path', RECIPES, ids=lambda path: path.stem)
def test_recipes(path):
    cfg = Config.fromfile(path)
    name = path.stem
    loader, batch = cfg.train_dataloader, cfg.auto_scale_lr.base_batch_size
    gpus = re.search(rf'dist_train.sh configs/{name}.py (\d+)', path.read_text())
    assert gpus, 'the docstring gives the command'
    assert int(gpus[1]) * loader.batch_size == batch, 'the batch size that the learning rate is for'
    init_cfg = cfg.model.backbone.get('init_cfg') or cfg.model.get('init_cfg')
    if init_cfg:
        assert init_cfg.checkpoint.partition('mmvit://')[2] in ZOO
    else:
        assert 'no weights' in path.read_text().lower(), 'the docstring says that training starts from random weights'
    assert len(path.read_text().split('"""')[2].splitlines()) <= 25, 'a config stays short'


@pytest.mark.parametrize('path', BENCHMARKS, ids=lambda path: path.stem)
def test_schedules(path):
    cfg = Config.fromfile(path)
    name = path.stem
    if name.endswith('_coco'):
        stated = re.search(r'_(\d+)ep_', name)
        epochs = int(stated[1]) if stated else 36 if '_3x_' in name else 12
        assert cfg.train_cfg.max_epochs == epochs
        steps = {12: [[8, 11]], 36: [[27, 33], [28, 33], [32, 35]], 50: [[44, 48]], 100: [[89, 96]]}
        assert cfg.param_scheduler[-1].milestones in steps[epochs]
        assert cfg.param_scheduler[-1].end == epochs
    else:
        assert cfg.param_scheduler[-1].end == cfg.train_cfg.max_iters
        assert all(head.num_classes == 150 for head in decode_heads(cfg))
        crop = next(step for step in cfg.train_dataloader.dataset.pipeline if step.type == 'RandomCrop')
        assert tuple(cfg.model.data_preprocessor.size) == tuple(crop.crop_size)
        sizes = [next(step for step in pipeline if step.type in ('RandomResize', 'Resize')).scale
                 for pipeline in (cfg.train_dataloader.dataset.pipeline, cfg.test_dataloader.dataset.pipeline)]
        assert sizes[0] == sizes[1] == (4 * crop.crop_size[0], crop.crop_size[0])


def test_levels_that_are_read():
    """What the README advises where a norm would wait for a gradient."""
    cfg = Config.fromfile(ROOT / 'configs' / 'retinanet_pvt_s_coco.py')
    init_default_scope('mmdet')
    from mmdet.testing import demo_mm_inputs
    unused = []
    for out_indices, start_level in (((0, 1, 2, 3), 1), ((1, 2, 3), 0)):
        cfg.model.backbone = dict(type='mmvit_backbones.SwinTransformer', arch='tiny', out_indices=out_indices)
        cfg.model.neck.update(in_channels=[96 * 2**i for i in out_indices], start_level=start_level)
        model = small(cfg).train()
        data = model.data_preprocessor(demo_mm_inputs(1, [(3, 64, 64)], num_classes=80), training=True)
        loss, _ = model.parse_losses(model.loss(data['inputs'], data['data_samples']))
        loss.backward()
        unused.append([name for name, p in model.named_parameters() if p.requires_grad and p.grad is None])
    assert unused == [['backbone.norm0.weight', 'backbone.norm0.bias'], []]


def test_sharded_training(tmp_path):
    """A step of the FSDP example on two CPU processes, and a checkpoint that fits the model when it is whole."""
    make_shapes(tmp_path / 'shapes', num_train=4, num_val=1, size=(64, 64))
    path = tmp_path / 'config.py'
    path.write_text(f"""
_base_ = '{ROOT}/configs/maskrcnn_swin_l_fsdp_coco.py'
dims = [64, 128, 256, 512]
train_pipeline = _base_.train_pipeline
train_pipeline[2] = dict(type='Resize', scale=(64, 64), keep_ratio=True)
shapes = dict(classes=('disc', 'ring', 'square', 'triangle', 'star', 'cross'))
train_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(pipeline=train_pipeline, metainfo=shapes))
val_dataloader = dict(dataset=dict(metainfo=shapes))
train_cfg = dict(max_epochs=1, val_begin=2)
model = dict(
    backbone=dict(arch=dict(_delete_=True, dims=dims, depths=(1, 1, 2, 1), num_heads=(2, 4, 8, 16), window=7, mlp_ratio=4)),
    neck=dict(in_channels=dims),
    roi_head=dict(bbox_head=dict(num_classes=6), mask_head=dict(num_classes=6)),
    train_cfg=dict(rpn_proposal=dict(max_per_img=20)))
full = dict(  # as in the example, but not moved to the CPU, where it is
    _delete_=True,
    state_dict_type='FULL_STATE_DICT',
    state_dict_config=dict(type='FullStateDictConfig'),
    optim_state_dict_config=dict(type='FullOptimStateDictConfig'))
randomness = dict(seed=0)
strategy = dict(
    state_dict_cfg=full, model_wrapper=dict(device_id='cpu', auto_wrap_policy=dict(min_num_params=1_000_000)))
""")
    call('tools/dist_train.sh', path, '2', '--work-dir', tmp_path, '--data-root', tmp_path / 'shapes', '--no-pretrained',
         PATH=f'{Path(sys.executable).parent}:{os.environ["PATH"]}', PORT='29633', OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    cfg = Config.fromfile(path)
    init_default_scope('mmdet')
    model = MODELS.build(dict(cfg.model, backbone=dict(cfg.model.backbone, init_cfg=None)))
    checkpoint = read_checkpoint(tmp_path / 'epoch_1.pth')
    model.load_state_dict(checkpoint['state_dict'], strict=True)
    moments = checkpoint['optimizer']['state']
    assert len(moments) == len(list(model.parameters())), 'there was a step of every parameter'


def test_weight_decay_as_in_the_authors_names():
    """CSWin's rule spares what is called norm, which the stem's norm is not."""
    from mmengine.optim import build_optim_wrapper
    cfg = Config.fromfile(next(path for path in CONFIGS if path.stem == 'upernet_cswin_t_ade20k'))
    init_default_scope('mmseg')
    with torch.device('meta'):
        remove_pretrained(cfg.model)
        model = MODELS.build(cfg.model)
    names = {id(p): name for name, p in model.named_parameters()}
    decays = {names[id(group['params'][0])]: group['weight_decay'] for group in build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups}
    assert decays.keys() == set(names.values())
    for name, decay in decays.items():
        spared = name.startswith('backbone') and 'norm' in name and 'patch_embed' not in name
        assert decay == (0 if spared else .01), name
