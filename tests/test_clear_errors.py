"""What the caller of a tool can put right ends with one line that says how, and changes no file."""
import importlib
import json
import pickle
import runpy
import shutil
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from PIL import Image

from mmvit_backbones.datasets import make_shapes
from mmvit_backbones.engine.config import run

DETECTOR, SEGMENTOR = 'configs/maskrcnn_cswin_demo_shapes.py', 'configs/upernet_cswin_demo_shapes.py'
CLASSIFIER = 'configs/classifier_cswin_demo_shapes.py'
QUICK = [f'{name}_dataloader.{setting}' for name in ('train', 'val', 'test')
         for setting in ('num_workers=0', 'persistent_workers=False', 'batch_size=2')]
TRAIN, VAL = 'annotations/instances_train2017.json', 'annotations/instances_val2017.json'
ADE = 'ADEChallengeData2016'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Data, configs and checkpoints that are right: {shapes, detector.pth, segmentor.pth}."""
    folder = tmp_path_factory.mktemp('right')
    make_shapes(folder / 'shapes', num_train=3, num_val=2, size=(64, 64))
    for config in (DETECTOR, SEGMENTOR):
        cfg = Config.fromfile(config)
        importlib.import_module(f'{cfg.default_scope}.models')
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            model = MODELS.build(cfg.model)
        name = 'detector' if config == DETECTOR else 'segmentor'
        torch.save(dict(meta=dict(dataset_meta=dict(cfg.metainfo)), state_dict=model.state_dict()), folder / f'{name}.pth')
    return folder


@pytest.fixture
def place(folder, tmp_path, monkeypatch):
    """A folder to spoil: the one above, copied."""
    shutil.copytree(folder, tmp_path / 'in')
    monkeypatch.chdir(tmp_path / 'in')
    (tmp_path / 'in' / 'configs').symlink_to(ROOT / 'configs')
    return tmp_path / 'in'


def use(capfd, monkeypatch, tool, *arguments):
    """Calls a tool in this process: its exit status, and the last line of what it wrote to stderr."""
    monkeypatch.setattr(sys, 'argv', [f'{tool}.py', *map(str, arguments)])
    capfd.readouterr()
    status = 0
    try:
        runpy.run_path(str(ROOT / 'tools' / f'{tool}.py'), run_name='__main__')
    except SystemExit as end:
        status = end.code
    err = capfd.readouterr().err
    return status, (err.strip().splitlines() or [''])[-1]


@pytest.fixture
def check(place, capfd, monkeypatch):
    """Calls a tool and finds one line with all of the words given; the files of the place stay as they are."""

    def check(tool, arguments, *words):
        before = {path: path.read_bytes() for path in place.rglob('*') if path.is_file()}
        status, line = use(capfd, monkeypatch, tool, *arguments)
        assert status == 2 and line.startswith(f'{tool}.py: error: '), (status, line)
        assert all(word in line for word in words), line
        assert {path: path.read_bytes() for path in before} == before

    return check


def edit(path, change):
    """Changes a JSON file."""
    content = json.loads(Path(path).read_text())
    change(content)
    Path(path).write_text(json.dumps(content))


def each(part, **values):
    return lambda content: [row.update(values) for row in content[part]]


CONFIGS = [
    ('x.py', '', 'x.py is no config of a model', 'no model'),
    ('x.py', 'model = dict(\n', 'x.py', 'SyntaxError', 'line 1'),
    ('x.py', "_base_ = 'nowhere.py'\n", 'x.py', 'nowhere.py'),
    ('x.py', 'a = 1\nmodel = dict(type=nothing)\n', 'x.py, line 2', "name 'nothing' is not defined"),
    ('x.py', 'model = dict(type=1 / 0)\n', 'x.py, line 1', 'division by zero'),
    ('x.py', "model = '{{ $NOTHING_OF_THAT_NAME }}'\n", 'x.py', 'NOTHING_OF_THAT_NAME'),
    ('x.py', "_base_ = 'configs/maskrcnn_cswin_demo_shapes.py'\nmodel = dict(backbone=_base_.nothing)\n", 'x.py', 'nothing'),
    ('x.py', "custom_imports = dict(imports=['nothing_of_that_name'])\nmodel = dict(type='x')\n", 'nothing_of_that_name'),
    ('x.py', 'model = 3\n', 'x.py is no config of a model', 'model=3'),
    ('x.py', "model = dict(type='X')\ndefault_scope = 3\n", 'default_scope', '3'),
    ('x.py', "model = dict(type='X')\ndefault_scope = 'mmnothing'\n", 'mmnothing'),
    ('x.py', b'\x80\x02\x00\xff', 'x.py'),
    ('x.json', '{"model": ', 'x.json'),
    ('x.json', '[1, 2]', 'x.json'),
    ('x.yml', 'model: [1', 'x.yml'),
    ('x.pth', 'x', 'x.pth is no config', '.py'),
    ('x.py', "model = dict(type='X')\n", 'x.py'),
]


@pytest.mark.parametrize('name, text, words', [(*row[:2], row[2:]) for row in CONFIGS])
def test_config(place, check, name, text, words):
    (place / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    check('train', [name, '--work-dir', 'out'], *words)
    assert not (place / 'out').exists() or not list((place / 'out').rglob('*.pth'))


OPTIONS = [
    (DETECTOR, 'a.b', 'expected KEY=VALUE'),
    (DETECTOR, '=3', 'expected KEY=VALUE'),
    (DETECTOR, 'model.backbone.depths=(1,[2)', 'model.backbone.depths'),
    (DETECTOR, 'modle.backbone.with_cp=True', 'has no modle', 'Did you mean model'),
    (DETECTOR, 'model=abc', 'model=abc', 'dict of type MaskRCNN'),
    (DETECTOR, 'model.backbone=abc', 'model.backbone=abc'),
    (DETECTOR, 'model.backbone.type.x=1', 'model.backbone.type.x'),
    (DETECTOR, 'test_pipeline.9.type=Resize', 'test_pipeline.9.type'),
    (DETECTOR, 'train_dataloader.dataset.pipeline.x=1', 'pipeline.x'),
    (DETECTOR, 'model.backbone.type=CSWinTransformr', 'model.backbone', 'Did you mean', 'mmvit_backbones.CSWinTransformer'),
    (DETECTOR, 'model.backbone.type=mmvit_backbones.CSWinTransformr', 'Did you mean mmvit_backbones.CSWinTransformer'),
    (DETECTOR, 'model.backbone.drop_path_rat=0.1', 'model.backbone', 'drop_path_rat', 'Did you mean', 'drop_path_rate'),
    (DETECTOR, 'default_hooks=5', 'default_hooks must be a dict', '5'),
    (DETECTOR, 'custom_hooks=5', 'custom_hooks must be a list', '5'),
    (DETECTOR, 'env_cfg=5', 'env_cfg must be a dict'),
    (DETECTOR, 'optim_wrapper.optimizer.lr=1e-4 load_from=5', 'load_from must be a str'),
    (DETECTOR, 'train_dataloader.dataset.ann_file=5', 'train_dataloader.dataset.ann_file must be a str'),
    (DETECTOR, 'train_dataloader.dataset.metainfo=5', 'train_dataloader.dataset.metainfo must be a dict'),
    (DETECTOR, 'train_dataloader.dataset.pipeline=5', 'dataset.pipeline must be a list or tuple, but is 5'),
    (DETECTOR, 'train_dataloader.dataset.filter_cfg=5', 'train_dataloader.dataset.filter_cfg must be a dict'),
    (DETECTOR, 'train_dataloader.dataset.data_prefix=5', 'train_dataloader.dataset.data_prefix must be a dict or str'),
    (DETECTOR, 'train_dataloader.dataset.data_prefix.img=5', 'data_prefix must hold paths', '5'),
    (DETECTOR, 'train_dataloader.dataset.metainfo.classes=5', 'metainfo.classes must be a list'),
    (DETECTOR, 'train_dataloader.dataset.type=5', 'train_dataloader.dataset.type must name a class'),
    (DETECTOR, 'val_evaluator.ann_file=5', 'val_evaluator.ann_file must be a str'),
    (DETECTOR, 'model.type=5', 'model.type must name a class', '5'),
    (DETECTOR, 'model.backbone=None', 'model.backbone must be a dict', 'None'),
    (DETECTOR, 'model.backbone.init_cfg=[1,2]', 'model.backbone.init_cfg must be a dict with a type'),
    (DETECTOR, 'model.backbone.init_cfg.checkpoint=5', 'model.backbone.init_cfg must be a dict with a type'),
    (DETECTOR, 'model.backbone.init_cfg.checkpoint=x.pth', 'init_cfg must be a dict with a type'),
    (DETECTOR, 'model.init_cfg=abc', 'model.init_cfg must be a dict with a type', 'abc'),
    (DETECTOR, 'optim_wrapper.clip_grad=5', 'optim_wrapper.clip_grad must be a dict'),
    (DETECTOR, 'optim_wrapper.optimizer.lr=x', 'optim_wrapper.optimizer.lr must be a number', "'x'"),
    (DETECTOR, 'custom_hooks=[5]', 'default_hooks and custom_hooks must hold dicts', '5'),
    (DETECTOR, 'default_hooks.checkpoint.type=5', 'default_hooks.checkpoint.type must name a class'),
    (DETECTOR, 'default_hooks.checkpoint.filename_tmpl=abc', 'filename_tmpl of a checkpoint hook', "'abc'"),
    (DETECTOR, 'default_hooks.checkpoint.out_dir=5', 'default_hooks.checkpoint.out_dir must be a str'),
    (DETECTOR, 'env_cfg.mp_cfg=5', 'env_cfg.mp_cfg must be a dict'),
    (DETECTOR, 'randomness.deterministic=True', 'randomness must be a dict with a seed'),
    (DETECTOR, 'auto_scale_lr=5', 'auto_scale_lr must be a dict'),
    (DETECTOR, 'log_level=NO', 'log_level', "'NO'"),
    (DETECTOR, 'randomness.seed=x', 'randomness.seed', "'x'"),
    (DETECTOR, 'model.backbone.arch=huge', 'model.backbone', 'has no variant', 'huge'),
    (DETECTOR, 'model.backbone.out_indices=(0,7)', 'model.backbone', 'out_indices'),
    (DETECTOR, 'model.bakbone.with_cp=True', 'takes no bakbone', 'Did you mean backbone'),
    (DETECTOR, 'model.backbone.embed_dims=3', 'model.backbone (mmvit_backbones.CSWinTransformer)', "write arch='tiny'"),
    (DETECTOR, 'model.neck.in_chanels=3', 'model.neck (FPN) takes no in_chanels', 'Did you mean in_channels'),
    (DETECTOR, 'model.neck.type=FPM', 'model.neck', 'Did you mean', 'FPN'),
    (DETECTOR, 'model.neck.in_channels=abc', 'model.neck (FPN)'),
    (DETECTOR, 'model.rpn_head.loss_cls.type=CrossEntropyLos', 'model.rpn_head.loss_cls', 'CrossEntropyLoss'),
    (SEGMENTOR, 'model.decode_head.chanels=3', 'model.decode_head (UPerHead) takes no chanels', 'Did you mean channels'),
    (DETECTOR, 'model.roi_head.bbox_head.num_classes=80', 'model.roi_head.bbox_head.num_classes is 80', '6 classes'),
    (SEGMENTOR, 'model.decode_head.num_classes=150', 'model.decode_head.num_classes is 150', '7 classes'),
    (DETECTOR, 'train_dataloader.batch_size=0', 'train_dataloader.batch_size', 'at least 1', '0'),
    (DETECTOR, 'train_dataloader.batch_size=x', 'train_dataloader.batch_size', "'x'"),
    (DETECTOR, 'train_dataloader.num_workers=-1', 'train_dataloader.num_workers', 'at least 0', '-1'),
    (DETECTOR, 'train_dataloader.persistent_workers=True', 'persistent_workers'),
    (DETECTOR, 'train_cfg.max_epochs=0', 'train_cfg.max_epochs', '0'),
    (DETECTOR, 'train_cfg.type=NoLoop', 'NoLoop'),
    (DETECTOR, 'train_dataloader.dataset.type=CocoDatset', 'train_dataloader.dataset', 'Did you mean', 'CocoDataset'),
    (DETECTOR, 'train_dataloader.dataset.pipeline.0.type=LoadImage', 'LoadImage', 'Did you mean'),
    (DETECTOR, 'train_dataloader.dataset.pipeline.2.scal=3', 'scal', 'Did you mean scale'),
    (DETECTOR, 'train_dataloader.dataset.nothing=3', 'train_dataloader.dataset', 'nothing'),
    (DETECTOR, 'optim_wrapper.optimizer.type=Adamm', 'optim_wrapper.optimizer', 'Did you mean', 'Adam'),
    (DETECTOR, 'optim_wrapper.optimizer.lr=-1', 'Invalid learning rate'),
    (DETECTOR, 'val_evaluator.metric=nothing', 'val_evaluator', 'nothing'),
    (DETECTOR, 'default_hooks.checkpoint.intervall=1', 'CheckpointHook', 'intervall'),
    (DETECTOR, 'train_dataloader.dataset.pipeline.2.scale=(16,16) model.data_preprocessor.pad_size_divisor=1',
     'CSWinTransformer', '32'),
]


@pytest.mark.parametrize('config, option, words', [(*row[:2], row[2:]) for row in OPTIONS])
def test_option(check, config, option, words):
    check('train', [config, '--work-dir', 'out', '--data-root', 'shapes', '--cfg-options', *QUICK, *option.split()], *words)


@pytest.mark.parametrize('arguments, words', [
    (['configs/nothing.py'], ['There is no config']),
    (['configs/maskrcnn_cswin_t_coco.py'], ['data/coco/, which does not exist', '--data-root']),
    (['configs/upernet_cswin_t_ade20k.py', '--data-root', 'nowhere'], ['There is no data root nowhere']),
    (['configs/upernet_cswin_t_ade20k.py', '--data-root', 'configs'], ['images/training, which does not exist']),
    ([DETECTOR, '--amp', '--bf16'], ['not allowed with']),
    ([DETECTOR, '--data-root', 'shapes', '--bf16'], ['need a GPU']),
])
def test_train(check, monkeypatch, arguments, words):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    check('train', arguments, *words)


@pytest.mark.parametrize('launcher, word', [('slurm', 'SLURM_PROCID'), ('pytorch', 'RANK'), ('mpi', 'OMPI_COMM_WORLD')])
def test_launcher(check, monkeypatch, launcher, word):
    for name in ('RANK', 'WORLD_SIZE', 'SLURM_PROCID', 'OMPI_COMM_WORLD_LOCAL_RANK'):
        monkeypatch.delenv(name, raising=False)
    for tool, rest in (('train', []), ('test', ['detector.pth'])):
        check(tool, [DETECTOR, *rest, '--data-root', 'shapes', '--launcher', launcher], f'--launcher {launcher}', word)


ANNOTATIONS = [
    (lambda path: path.write_bytes(b''), 'is empty'),
    (lambda path: path.write_bytes(path.read_bytes()[:500]), 'damaged JSON'),
    (lambda path: path.write_bytes(b'\xff\xd8\xff\xe0'), 'damaged JSON'),
    (lambda path: path.write_text('[]'), 'expected a dict'),
    (lambda path: path.write_text('{"version": 1, "shapes": []}'), 'version, shapes'),
    (lambda path: edit(path, lambda content: content.update(images={})), 'expected a dict with lists'),
    (lambda path: edit(path, lambda content: content.update(images=[])), 'names no images'),
    (lambda path: edit(path, lambda content: content['images'][0].pop('file_name')), 'images[0] has no file_name'),
    (lambda path: edit(path, each('annotations', bbox=None)), 'annotations[0].bbox is None'),
    (lambda path: edit(path, each('annotations', bbox=[1, 2, 3, float('nan')])), '.bbox is [1, 2, 3, nan]'),
    (lambda path: edit(path, each('annotations', area='x')), "annotations[0].area is 'x', but must be a number"),
    (lambda path: edit(path, each('annotations', segmentation=5)), 'annotations[0].segmentation is 5'),
    (lambda path: edit(path, each('annotations', segmentation=dict(size=[64, 64], counts=[1 << 40]))), '1099511627776'),
    (lambda path: edit(path, each('annotations', image_id=[1])), 'annotations[0].image_id is [1]'),
    (lambda path: edit(path, each('images', file_name=5)), 'images[0].file_name is 5, but must be a text'),
    (lambda path: edit(path, each('images', height=-5)), 'images[0] is -5 high'),
    (lambda path: edit(path, each('categories', name='cat')), 'without disc'),
    (lambda path: edit(path, lambda content: content['categories'].pop()), 'without cross'),
    (lambda path: edit(path, each('images', file_name='other.jpg')), 'are not there', 'other.jpg'),
    (lambda path: (path.unlink(), path.mkdir()), 'annotations'),
]


@pytest.mark.parametrize('spoil, words', [(row[0], row[1:]) for row in ANNOTATIONS])
def test_annotations(place, check, spoil, words):
    for tool, file, rest in (('train', TRAIN, []), ('test', VAL, ['detector.pth'])):
        path = place / 'shapes' / file
        spoil(path)
        check(tool, [DETECTOR, *rest, '--data-root', 'shapes', '--work-dir', 'out', '--cfg-options', *QUICK], str(path.name)
              if path.is_file() else '', words[-1] if tool == 'train' and len(words) > 1 else words[0])


def test_annotations_without_boxes(place, check):
    edit(place / 'shapes' / TRAIN, lambda content: content.update(annotations=[]))
    check('train', [DETECTOR, '--data-root', 'shapes', '--work-dir', 'out', '--cfg-options', *QUICK], 'none of 3 images')


def test_annotations_without_masks(place, check):
    edit(place / 'shapes' / TRAIN, each('annotations', segmentation=[]))
    check('train', [DETECTOR, '--data-root', 'shapes', '--work-dir', 'out', '--cfg-options', *QUICK],
          'loads masks (with_mask=True)', 'annotations[0]')


def test_annotations_of_other_images(place, check):
    path = place / 'other.json'
    shutil.copy(place / 'shapes' / TRAIN, path)
    edit(path, lambda content: [row.update(id=row['id'] + 1000) for row in content['images']])
    check('test', [DETECTOR, 'detector.pth', '--data-root', 'shapes', '--work-dir', 'out', '--cfg-options', *QUICK,
                   f'test_evaluator.ann_file={path}'], 'other.json', 'lacks 2 of the 2 images')


@pytest.mark.parametrize('content, word', [
    (b'', 'names no pictures'),
    (b'\xff\xfe', 'is no list of pictures'),
    (b'disc/000006.jpg 0\n\n', 'line 2'),
    (b'disc/000006.jpg\n', 'line 1'),
    (b'disc/000006.jpg x\n', "'disc/000006.jpg x'"),
    (b'disc/000006.jpg 6\n', '0 to 5'),
])
def test_lists_of_pictures(place, check, content, word):
    (place / 'shapes' / 'list.txt').write_bytes(content)
    check('train', [CLASSIFIER, '--data-root', 'shapes', '--work-dir', 'out', '--cfg-options', *QUICK,
                    'train_dataloader.dataset.ann_file=list.txt'], 'list.txt', word)


def test_lists_for_a_segmentor(place, check):
    """mmseg would take the whole folder in the place of a list that is none."""
    (place / 'shapes' / ADE / 'list.txt').write_bytes(b'\xff')
    for name in ('list.txt', 'images'):
        check('train', [SEGMENTOR, '--data-root', 'shapes', '--work-dir', 'out', '--cfg-options', *QUICK,
                        f'train_dataloader.dataset.ann_file={name}'], name, 'is no list of pictures')


PICTURES = [
    (lambda path: path.unlink(), 'are not there'),
    (lambda path: path.write_bytes(b''), 'is empty'),
    (lambda path: path.write_text('<html>'), 'is no picture'),
]


@pytest.mark.parametrize('workers', [0, 1])
@pytest.mark.parametrize('spoil, word', PICTURES)
def test_pictures(place, check, spoil, word, workers):
    path, = list((place / 'shapes' / 'val2017').iterdir())[:1]
    spoil(path)
    check('test', [DETECTOR, 'detector.pth', '--data-root', 'shapes', '--work-dir', 'out', '--cfg-options', *QUICK,
                   f'test_dataloader.num_workers={workers}'], path.name, word)


@pytest.mark.parametrize('spoil, word', [
    (lambda path: path.unlink(), 'are not there'),
    (lambda path: path.write_bytes(b''), 'is empty'),
    (lambda path: path.write_bytes(path.read_bytes()[:80]), 'is no picture or a damaged one'),
    (lambda path: cv2.imwrite(str(path), np.zeros((20, 30), np.uint8)), '30 x 20 pixels'),
    (lambda path: cv2.imwrite(str(path), np.full((64, 64), 99, np.uint8)), 'labels 99'),
    (lambda path: cv2.imwrite(str(path), np.zeros((64, 64, 3), np.uint8)), '3 channels'),
])
def test_label_maps(place, check, spoil, word):
    for tool, part, rest in (('train', 'training', []), ('test', 'validation', ['segmentor.pth'])):
        path = sorted((place / 'shapes' / ADE / 'annotations' / part).iterdir())[0]
        spoil(path)
        check(tool, [SEGMENTOR, *rest, '--data-root', 'shapes', '--work-dir', 'out', '--cfg-options', *QUICK], path.name, word)


def test_no_pictures_for_a_segmentor(place, check):
    for path in (place / 'shapes' / ADE / 'images' / 'training').iterdir():
        path.unlink()
    check('train', [SEGMENTOR, '--data-root', 'shapes', '--work-dir', 'out', '--cfg-options', *QUICK], 'found no images')


def test_places_to_write(place, check):
    (place / 'file').write_text('kept')
    (place / 'link').symlink_to('nowhere')
    data = ['--data-root', 'shapes', '--cfg-options', *QUICK]
    for value in ('file', 'file/below', 'link/x', 'x' * 300):
        check('train', [DETECTOR, '--work-dir', value, *data], '--work-dir')
        check('test', [DETECTOR, 'detector.pth', '--work-dir', value, *data], '--work-dir')
        check('test', [DETECTOR, 'detector.pth', '--work-dir', 'out', '--show-dir', value, *data], '--show-dir')
        check('test', [DETECTOR, 'detector.pth', '--work-dir', 'out', '--out', f'{value}/x.pkl', *data], '--out')
        check('test', [SEGMENTOR, 'segmentor.pth', '--work-dir', 'out', '--out', value, *data], '--out')
        check('predict', [DETECTOR, 'detector.pth', 'shapes/val2017', '--out', value], '--out')
        check('convert_checkpoint', ['detector.pth', f'{value}/x.pth'], 'OUT')
        check('benchmark', ['cswin/tiny', '--device', 'cpu', '--json', f'{value}/x.json'], '--json')
    check('convert_checkpoint', ['detector.pth', 'shapes'], 'is a folder')
    check('benchmark', ['cswin/tiny', '--device', 'cpu', '--json', 'shapes'], 'is a folder')


def zipped(path):
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('notes.txt', 'nothing')


def changed(path, change):
    checkpoint = torch.load('detector.pth', weights_only=False)
    change(checkpoint)
    torch.save(checkpoint, path)


def narrower(checkpoint):
    state = checkpoint['state_dict']
    state.update({key: value[:1] for key, value in state.items() if key.startswith('neck.') and value.dim()})


def without_heads(checkpoint):
    for key in [key for key in checkpoint['state_dict'] if key.startswith('roi_head.')]:
        del checkpoint['state_dict'][key]


FOREIGN = [
    (lambda path: None, 'There is no checkpoint'),
    (lambda path: path.mkdir(), 'that is a folder'),
    (lambda path: path.write_bytes(b''), 'empty'),
    (lambda path: path.write_text('nothing'), 'text'),
    (lambda path: shutil.copy(next(Path('shapes/val2017').iterdir()), path), 'x.pth'),
    (zipped, 'x.pth'),
    (lambda path: path.write_bytes(pickle.dumps([1, 2])), 'x.pth'),
    (lambda path: path.write_bytes(Path('detector.pth').read_bytes()[:9999]), 'x.pth'),
    (lambda path: torch.save([1, 2], path), 'x.pth'),
    (lambda path: torch.save({}, path), 'x.pth'),
    (lambda path: torch.save(torch.nn.Linear(2, 2), path), 'x.pth'),
    (lambda path: np.savez(path.open('wb'), a=np.ones(2)), 'x.pth'),
    (lambda path: shutil.copy('segmentor.pth', path), 'x.pth'),
    (lambda path: changed(path, narrower), 'neck'),
    (lambda path: changed(path, without_heads), 'roi_head'),
]


@pytest.mark.parametrize('write, word', FOREIGN)
def test_foreign_checkpoints(place, check, write, word):
    write(place / 'x.pth')
    check('test', [DETECTOR, 'x.pth', '--data-root', 'shapes', '--work-dir', 'out', '--cfg-options', *QUICK], word)
    check('predict', [DETECTOR, 'x.pth', 'shapes/val2017', '--out', 'out'], word)
    if not (place / 'x.pth').is_file() or word in ('empty', 'text', 'x.pth') and (place / 'x.pth').stat().st_size < 1 << 20:
        check('convert_checkpoint', ['x.pth', 'out.pth'], word)
    assert not list(place.glob('out*/*.jpg')) and not (place / 'out.pth').exists()


def test_checkpoint_with_averaged_weights(place, capfd, monkeypatch):
    """EMAHook keeps the weights twice, one time under ``module.``; they are whole."""
    changed(place / 'x.pth', lambda checkpoint: checkpoint.update(ema_state_dict={
        'steps': torch.tensor(3), **{f'module.{key}': value for key, value in checkpoint['state_dict'].items()}}))
    (place / 'x.py').write_text(f"_base_ = '{DETECTOR}'\ncustom_hooks = [dict(type='EMAHook')]\n")
    status, line = use(capfd, monkeypatch, 'test', 'x.py', 'x.pth', '--data-root', 'shapes', '--work-dir', 'out',
                       '--cfg-options', *QUICK)
    assert status == 0, line


def names(**meta):
    return lambda checkpoint: checkpoint['meta'].update(dataset_meta=meta)


@pytest.mark.parametrize('config, change, word', [
    (DETECTOR, names(classes=('disc', 'ring')), 'has 2 classes (disc, ring)'),
    (SEGMENTOR, names(classes=5), 'must be a list of names'),
    (DETECTOR, names(classes=(1, 2, 3, 4, 5, 6)), 'must be a list of names'),
    (DETECTOR, lambda checkpoint: checkpoint['state_dict'].update({1: 'x'}), 'int keys'),
    (DETECTOR, names(classes=('\ud800\x1b[31m', ) * 6), None),
    (DETECTOR, names(palette='nothing'), None),
    (DETECTOR, lambda checkpoint: checkpoint.update(meta=None), None),
    (SEGMENTOR, lambda checkpoint: checkpoint.pop('meta'), None),
])
def test_names_of_classes(place, check, capfd, monkeypatch, config, change, word):
    """Those in a checkpoint, of anybody's making, are used if they fit, and the data set's if there are none."""
    checkpoint = torch.load('detector.pth' if config == DETECTOR else 'segmentor.pth', weights_only=False)
    change(checkpoint)
    torch.save(checkpoint, 'x.pth')
    arguments = [config, 'x.pth', 'shapes/val2017', '--out', 'out', '--score-thr', '0']
    if word:
        check('predict', arguments, 'x.pth', word)
    else:
        assert use(capfd, monkeypatch, 'predict', *arguments)[0] == 0 and len(list((place / 'out').iterdir())) == 2


PREDICT = [
    (['film.mp4'], 'videos and cameras are not read'),
    (['0'], 'videos and cameras are not read'),
    (['none.jpg'], 'There is no image'),
    (['configs/_base_'], 'holds no images'),
    (['shapes/val2017', 'shapes/val2017'], 'Several images are called'),
    (['shapes/val2017', '--out', 'shapes/val2017'], 'which the pictures would replace'),
    (['empty.jpg'], 'empty.jpg is empty'),
    (['text.jpg'], 'text.jpg is no picture'),
    (['cut.jpg'], 'cut.jpg is no picture or a damaged one'),
    (['cut.png'], 'cut.png is no picture or a damaged one'),
    (['bomb.png'], 'bomb.png is no picture or a damaged one'),
    (['name'], 'name: no picture can be written under this name'),
    (['line.png'], 'line.png can not be brought to the model'),
    (['float.tif'], 'float.tif is in a format that mmcv does not read'),
    (['links', '--out', 'links'], 'which the pictures would replace'),
    (['shapes/val2017', '--device', 'cuda:99'], '--device cuda:99'),
    (['shapes/val2017', '--device', 'nothing'], '--device nothing'),
    (['shapes/val2017', '--score-thr', '7'], '--score-thr must lie between'),
    (['shapes/val2017', '--opacity', '-1'], '--opacity must lie between'),
]


@pytest.mark.parametrize('arguments, word', PREDICT)
def test_predict(place, check, arguments, word):
    image = next((place / 'shapes' / 'val2017').iterdir())
    (place / 'film.mp4').write_bytes(b'x')
    (place / 'empty.jpg').touch()
    (place / 'text.jpg').write_text('nothing')
    (place / 'cut.jpg').write_bytes(image.read_bytes()[:-300])
    cv2.imwrite('whole.png', cv2.imread(str(image)))
    cv2.imwrite('line.png', np.zeros((1, 2000, 3), np.uint8))
    Image.fromarray(np.zeros((64, 64), np.float32)).save('float.tif')
    shutil.copy('whole.png', 'name')
    (place / 'bomb.png').write_bytes((place / 'whole.png').read_bytes()[:16] + bytes([0, 0, 255, 255] * 2) + bytes(40))
    (place / 'links').mkdir()
    (place / 'links' / 'whole.png').symlink_to(place / 'whole.png')
    (place / 'cut.png').write_bytes((place / 'whole.png').read_bytes()[:-300])
    check('predict', [DETECTOR, 'detector.pth', '--out', 'out', *arguments], word)
    assert not (place / 'out').exists()


@pytest.mark.parametrize('arguments, word', [
    (['cswim/tiny'], 'Did you mean cswin/tiny'),
    (['cswin/tiny', '--size', '224'], 'expected HEIGHTxWIDTH'),
    (['cswin/tiny', '--size', '16x16'], 'at least 32x32'),
    (['cswin/tiny', '--device', 'nothing'], '--device nothing'),
    (['cswin/tiny', '--device', 'cpu', '--batch', '0'], 'at least 1'),
    (['cswin', 'pvt/tiny', '--device', 'cpu', '--peer', 'timm'], 'timm has none of cswin/tiny'),
    (['swin/tiny', '--device', 'cpu', '--peer', 'mmpretrain'], 'invalid choice'),
])
def test_benchmark(check, arguments, word):
    check('benchmark', arguments, word)


def test_benchmark_without_the_peer(check, monkeypatch):
    monkeypatch.setitem(sys.modules, 'timm', None)
    check('benchmark', ['swin/tiny', '--device', 'cpu', '--peer', 'timm'], 'timm is not installed. pip install timm')


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='a device of Linux')
def test_full_disk(capfd):
    def write():
        with open('/dev/full', 'w') as file:
            file.write('x')

    for main in (write, lambda: torch.save(torch.ones(3), '/dev/full')):
        with pytest.raises(SystemExit):
            run(main)
        err = capfd.readouterr().err
        assert '/dev/full: ' in err and 'Free some space' in err and err.count('\n') == 1


def test_memory(capfd):
    for main in (lambda: torch.empty(1 << 60), lambda: torch.empty(1 << 62, 1 << 62), lambda: np.empty(1 << 50)):
        with pytest.raises(SystemExit):
            run(main)
        err = capfd.readouterr().err
        assert 'Choose a smaller batch or image size' in err and err.count('\n') == 1


def test_errors_of_the_program_stay(capfd):
    """Also where a class that is built from a config has a fault of its own."""
    class Faulty(torch.nn.Module):

        def __init__(self):
            super().__init__()
            len(3)

    for main, error in ((lambda: [][1], IndexError), (lambda: open('nothing'), FileNotFoundError),
                        (lambda: MODELS.build(dict(type=Faulty)), TypeError)):
        with pytest.raises(error):
            run(main)
