"""Images come to a classifier as to its authors', and one is trained, evaluated and handed on through the tools."""
import copy
import os
import pickle
import re
import runpy
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import DATA, ROOT, build, call, call_and_kill, read_record
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from PIL import Image
from test_classifiers import SMALL, authors_file
from test_clear_errors import use

from mmvit_backbones import list_backbones
from mmvit_backbones.checkpoints import ZOO, Preprocess, preprocessing, read_checkpoint, zoo
from mmvit_backbones.datasets import make_shapes
from mmvit_backbones.engine import classifier, set_backbone
from mmvit_backbones.engine.config import load_config
from mmvit_backbones.engine.imagenet import DROP_PATH, evaluation_pipeline

IMAGENET, DEMO = 'configs/imagenet.py', 'configs/classifier_cswin_demo_shapes.py'
QUICK = ('train_dataloader.batch_size=4', 'default_hooks.logger.interval=1', *(
    f'{name}_dataloader.{setting}' for name in ('train', 'val', 'test')
    for setting in ('num_workers=0', 'persistent_workers=False')))
PREPROCESS = {
    f'{path.parent.name}/{variant}': values
    for path in sorted(DATA.glob('*/logits.json')) for variant, values in read_record(path)['preprocess'].items()
}


# How images come to the classifier.


@pytest.mark.parametrize('name', PREPROCESS)
def test_preprocessing_is_the_recorded_one(name):
    """The record is null where it is not known; `resize` in it says that both sides are resized, and nothing is cropped."""
    recorded = PREPROCESS[name]
    if recorded['crop_pct'] is None:
        assert (ZOO[name].preprocess if name in ZOO else zoo.UNPUBLISHED.get(name)) is None
        return
    crop = None if 'resize' in recorded else recorded['crop_pct']
    assert preprocessing(name) == Preprocess(
        recorded['size'], crop, recorded['interpolation'], tuple(recorded['mean']), tuple(recorded['std']))


def test_all_weights_are_accounted_for():
    assert zoo.UNPUBLISHED.keys() <= list_backbones().keys() - ZOO.keys()
    for name, weights in ZOO.items():
        assert weights.preprocess is None or weights.data.endswith(f', {weights.preprocess.size}'), name
    assert list_backbones(pretrained=True).keys() - DROP_PATH.keys() == {
        'cait/cait_M48', 'cswin/large_384', 'deit/deit_medium_patch16_LS', 'lv_vit/lvvit_t', 'lv_vit/upernet_lvvit_l',
        'lv_vit/upernet_lvvit_m', 'lv_vit/upernet_lvvit_s', 'mvit_v2/base_in21k', 'mvit_v2/huge_in21k',
        'mvit_v2/large_in21k', 'rest_v2/base', 'rest_v2/large', 'rest_v2/small', 'vitae/vitae_b', 'vitae/vitae_h',
        'vitae/vitae_l'}
    assert DROP_PATH.keys() <= list_backbones().keys()


def reference(path, preprocess):
    """What torchvision's transforms give, as the authors put them together: (3, H, W) float32."""
    transforms = pytest.importorskip('torchvision.transforms')
    size = preprocess.size
    resize = (size, size) if preprocess.crop is None else int(size / preprocess.crop)
    with Image.open(path) as image:
        return transforms.Compose([
            transforms.Resize(resize, interpolation=getattr(transforms.InterpolationMode, preprocess.interpolation.upper())),
            transforms.CenterCrop(size),
            transforms.ToTensor(),
            transforms.Normalize(preprocess.mean, preprocess.std)
        ])(image.convert('RGB'))


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    """JPEG files: odd sides, upright and wide; grey; of four inks; turned by a note of the camera; small."""
    folder = tmp_path_factory.mktemp('pictures')
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    for name, size in (('wide', (501, 335)), ('upright', (333, 777)), ('small', (97, 64)), ('square', (256, 256))):
        Image.fromarray(noise).resize(size, Image.BICUBIC).save(folder / f'{name}.jpg')
    wide = Image.open(folder / 'wide.jpg')
    wide.convert('L').save(folder / 'grey.jpg')
    wide.convert('CMYK').save(folder / 'inks.jpg')
    exif = wide.getexif()
    exif[0x0112] = 6  # turn it by 90 degrees
    wide.save(folder / 'turned.jpg', exif=exif)
    return folder


@pytest.mark.parametrize('preprocess', [
    Preprocess(), Preprocess(crop=.9), Preprocess(384, 1.), Preprocess(384, None),
    Preprocess(256, interpolation='bilinear', mean=(.5, .5, .5), std=(.5, .5, .5))
], ids=str)
def test_pixels(pictures, preprocess):
    """All pixels are the authors', to the last bit; what stands in the config besides brings them to the same values."""
    init_default_scope('mmpretrain')
    from mmcv.transforms import Compose
    cfg = load_config(IMAGENET)
    pipeline = Compose(evaluation_pipeline(preprocess))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (preprocess.mean, preprocess.std))
    for path in sorted(pictures.iterdir()):
        packed = pipeline(dict(img_path=str(path)))
        wanted = reference(path, preprocess)
        assert packed['inputs'].shape == wanted.shape
        assert (packed['inputs'].flip(0) == ((wanted * std + mean) * 255).round()).all(), path.name
        if mean[0] != .5:
            data = dict(inputs=[packed['inputs']], data_samples=[packed['data_samples']])
            found = MODELS.build(dict(type='mmpretrain.ClsDataPreprocessor', **cfg.data_preprocessor))(data)['inputs'][0]
            assert (found - wanted).abs().max() < 1e-4


@pytest.mark.parametrize('name', ['fcvit/b24', 'swin/base_window12_384', 'swin/tiny_c24_window8_256', 'msg_transformer/tiny'])
def test_the_backbone_brings_its_preprocessing(name):
    preprocess = preprocessing(name)
    cfg = set_backbone(load_config(IMAGENET), name)
    assert cfg.train_dataloader.dataset.pipeline[1].scale == preprocess.size
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        assert loader.dataset.pipeline == evaluation_pipeline(preprocess)
    assert cfg.data_preprocessor.mean == [123.675, 116.28, 103.53] and cfg.data_preprocessor.std == [58.395, 57.12, 57.375]
    assert cfg.model.backbone.drop_path_rate == DROP_PATH[name] and cfg.model.backbone.out_type == 'pooled'
    assert 'init_cfg' not in cfg.model.backbone and not cfg.model.get('init_cfg')


def test_other_data_and_sizes_stay():
    """Fine-tuning has a size of its own, and pictures other than ImageNet's are brought as the config says."""
    for config in ('configs/imagenet_384.py', DEMO):
        before = load_config(config)
        cfg = set_backbone(copy.deepcopy(before), 'pvt_v2/b0')
        for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            assert cfg[loader] == before[loader]
    cfg = load_config('configs/imagenet_384.py', backbone='pvt_v2/b0')
    assert cfg.model.init_cfg.checkpoint == 'mmvit://pvt_v2/b0' and 'init_cfg' not in cfg.model.backbone
    cfg = load_config('configs/imagenet_384.py', backbone='pvt_v2/b0', pretrained=False)
    assert not cfg.model.get('init_cfg') and not cfg.model.backbone.get('init_cfg')


def test_what_is_not_known_is_said(monkeypatch):
    said = []
    monkeypatch.setattr(zoo, 'print_log', lambda text, **_: said.append(text))
    assert preprocessing('swin/tiny_moby') == preprocessing('gg_transformer/gg_tiny') == Preprocess()
    assert ['swin/tiny_moby' in text for text in said] == [True]


# The recipe.


def test_recipe():
    cfg = load_config(IMAGENET)
    assert cfg.train_cfg.max_epochs == 300 and cfg.auto_scale_lr.base_batch_size == 8 * cfg.train_dataloader.batch_size == 1024
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('AdamW', 1e-3, .05)
    warm_up, cosine = cfg.param_scheduler
    assert warm_up.end == cosine.begin == 20 and warm_up.start_factor * optimizer.lr == 1e-6 and cosine.eta_min == 1e-5
    steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    assert steps['RandAugment'].magnitude_level == 9 and steps['RandAugment'].magnitude_std == .5
    assert steps['RandAugment'].policies == 'timm_increasing' and steps['RandomErasing'].erase_prob == .25
    assert [(mix.type, mix.alpha) for mix in cfg.model.train_cfg.augments] == [('Mixup', .8), ('CutMix', 1.)]
    assert cfg.model.head.loss.label_smooth_val == .1


@pytest.mark.parametrize('name', ['swin/tiny', 'pvt/tiny', 'twins_svt/small', 'msg_transformer/tiny'])
def test_weight_decay(name):
    """Norms, biases and what the authors exempt have none."""
    cfg = load_config(IMAGENET, backbone=name)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    decay = {id(param): group['weight_decay'] for group in groups for param in group['params']}
    assert {group['lr'] for group in groups} == {1e-3}
    exempt = {f'backbone.{key}' for key in model.backbone.no_weight_decay()}
    for key, param in model.named_parameters():
        assert decay[id(param)] == (0 if param.ndim == 1 or key.endswith('.bias') or key in exempt else .05), key


def test_tables_are_resized_for_other_sizes(tmp_path):
    """Weights of windows of 7 start a model with windows of 12, head included."""
    model = MODELS.build(classifier('swin/tiny', num_classes=3, arch=SMALL))
    model.init_weights()
    torch.save(dict(meta={}, state_dict=model.state_dict()), tmp_path / 'x.pth')
    large = classifier('swin/tiny', 3, dict(type='Pretrained', checkpoint=str(tmp_path / 'x.pth')), arch=dict(SMALL, window=12))
    large = MODELS.build(large)
    large.init_weights()
    table = large.backbone.stages[0].blocks[0].attn.position.relative_position_bias_table
    assert len(table) == 23**2 and large.head.fc.weight.equal(model.head.fc.weight)
    assert large.eval()(torch.randn(1, 3, 384, 384), mode='tensor').shape == (1, 3)


# Through the tools.


@pytest.fixture(scope='module')
def shapes(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'shapes'
    make_shapes(root, num_train=12, num_val=6, size=(64, 64), progress=False)
    return root


@pytest.fixture(scope='module')
def imagenet(tmp_path_factory, pictures):
    """A few labelled pictures in the layout with lists, and FCViT's file as its authors publish it."""
    folder = tmp_path_factory.mktemp('imagenet')
    state = authors_file('fcvit/tiny')
    (folder / 'weights').mkdir()
    torch.save(dict(epoch=309, arch='fcvit_tiny', state_dict=state, metric=74.9), folder / 'weights' / ZOO['fcvit/tiny'].file)
    (folder / 'data' / 'meta').mkdir(parents=True)
    (folder / 'data' / 'val').symlink_to(pictures)
    preprocess = preprocessing('fcvit/tiny')
    model = MODELS.build(classifier('fcvit/tiny')).eval()
    model.load_state_dict(state)
    paths = sorted(pictures.iterdir())
    with torch.no_grad():
        logits = torch.cat([model(reference(path, preprocess)[None], mode='tensor') for path in paths])
    best = logits.argmax(1).tolist()
    wrong = [(label + (i == 0)) % 1000 for i, label in enumerate(best)]  # the first is told to be of another class
    lines = [f'{path.name} {label}\n' for path, label in zip(paths, wrong)]
    (folder / 'data' / 'meta' / 'val.txt').write_text(''.join(lines))
    return folder, paths, logits.softmax(1)


def test_published_weights_are_evaluated(imagenet, tmp_path, monkeypatch, tool):
    """The zoo's file through `tools/test.py`: the authors' scores of each picture, and so their top-1."""
    folder, paths, scores = imagenet
    monkeypatch.setenv('MMVIT_WEIGHTS', str(folder / 'weights'))
    log = tool('test', IMAGENET, 'mmvit://fcvit/tiny', '--backbone', 'fcvit/tiny', '--data-root', folder / 'data', '--out',
               tmp_path / 'out.pkl', '--show-dir', tmp_path / 'shown', options=['default_hooks.visualization.interval=1'])
    assert accuracies(log) == [f'{100 * (1 - 1 / len(paths)):.4f}']
    found = torch.stack([torch.as_tensor(result['pred_score']) for result in pickle.loads((tmp_path / 'out.pkl').read_bytes())])
    assert (found - scores).abs().max() < 1e-4
    assert len(list((tmp_path / 'shown').rglob('*.*g'))) == len(paths)


def test_the_recipe_goes_on_from_published_weights(imagenet, pictures, tmp_path, tool):
    """An epoch of `configs/imagenet.py` from the authors' file as `load_from`; its learning rate is next to nothing yet."""
    folder, _, _ = imagenet
    file = folder / 'weights' / ZOO['fcvit/tiny'].file
    (tmp_path / 'data' / 'meta').mkdir(parents=True)
    for split in ('train', 'val'):
        (tmp_path / 'data' / split).symlink_to(pictures)
        shutil.copy(folder / 'data' / 'meta' / 'val.txt', tmp_path / 'data' / 'meta' / f'{split}.txt')
    log = tool('train', IMAGENET, '--backbone', 'fcvit/tiny', '--data-root', tmp_path / 'data',
               options=(f'load_from={file}', 'train_cfg.max_epochs=1'))
    assert len(accuracies(log)) == 1
    saved, state = read_checkpoint(tmp_path / 'run0' / 'epoch_1.pth')['state_dict'], authors_file('fcvit/tiny')
    assert torch.allclose(saved['head.fc.weight'], state['head.weight'], atol=1e-3)


def test_predict_prints_the_best_classes(imagenet, monkeypatch, capsys, tmp_path):
    from mmpretrain.datasets.categories import IMAGENET_CATEGORIES
    folder, paths, scores = imagenet
    file = folder / 'weights' / ZOO['fcvit/tiny'].file
    monkeypatch.setattr(sys, 'argv', [
        'predict.py', IMAGENET, str(file), *map(str, paths[:2]), '--backbone', 'fcvit/tiny', '--out', str(tmp_path / 'drawn')])
    runpy.run_path(str(ROOT / 'tools' / 'predict.py'), run_name='__main__')
    out = capsys.readouterr().out
    for path, row in zip(paths[:2], scores):
        values, labels = row.topk(5)
        lines = [f'{value:9.4f}  {IMAGENET_CATEGORIES[label]}' for value, label in zip(values.tolist(), labels.tolist())]
        assert '\n'.join([str(path), *lines]) in out
        assert cv2.imread(str(tmp_path / 'drawn' / path.name)) is not None


@pytest.fixture
def tool(monkeypatch, capfd, tmp_path):
    """Calls a tool in this process; returns the log of the run, or what it printed."""

    def call_tool(name, *arguments, options=()):
        work_dir = tmp_path / f'run{len(list(tmp_path.glob("run*")))}'
        flags = ['--work-dir', work_dir, '--cfg-options', *QUICK, *options]
        status, line = use(capfd, monkeypatch, name, *arguments, *flags)
        assert status == 0, line
        return next(work_dir.rglob('*.log')).read_text()

    return call_tool


def length(epochs):
    return f'train_cfg.max_epochs={epochs}', f'train_cfg.val_interval={epochs}'


def accuracies(log):
    return re.findall(r'accuracy/top1: ([\d.]+)', log)


def test_train_kill_resume_evaluate_detect(shapes, tmp_path, tool):
    work_dir = tmp_path / 'classifier'
    command = ['train.py', DEMO, '--data-root', shapes, '--work-dir', work_dir, '--auto-scale-lr']
    out = call_and_kill(work_dir / 'epoch_1.pth', *command, '--cfg-options', *QUICK, *length(40))
    assert 'LR is set based on batch size of 16 and the current batch size is 4' in out
    done = len(list(work_dir.glob('epoch_*.pth')))
    out = call(*command, '--resume', '--cfg-options', *QUICK, *length(done + 1))
    checkpoint = work_dir / f'epoch_{done + 1}.pth'
    assert f'resumed epoch: {done}' in out and accuracies(out) and checkpoint.exists()
    assert accuracies(tool('test', DEMO, checkpoint, '--data-root', shapes)) == accuracies(out)
    assert accuracies(tool('test', DEMO, checkpoint, '--data-root', shapes, '--tta'))

    weights = ('model.backbone.init_cfg.type=Pretrained', f'model.backbone.init_cfg.checkpoint={checkpoint}')
    log = tool('train', 'configs/maskrcnn_cswin_demo_shapes.py', '--data-root', shapes, options=(*length(1), *weights))
    assert re.search(r"loaded from this package's layout under 'backbone\.'; 8 new \(norm0", log), 'all but the output norms'
    dense = build('cswin/tiny', arch=load_config(DEMO).model.backbone.arch.to_dict(),
                  init_cfg=dict(type='Pretrained', checkpoint=str(checkpoint)))
    dense.init_weights()
    own = read_checkpoint(checkpoint)['state_dict']
    assert all(value.equal(own[f'backbone.{key}']) for key, value in dense.state_dict().items() if not key.startswith('norm'))


def test_moving_average(shapes, tmp_path, tool):
    """What is saved as the weights, and evaluated, is the average."""
    config = tmp_path / 'ema.py'
    hooks = (ROOT / 'configs' / 'imagenet_ema.py').read_text().split("_base_ = 'imagenet.py'")[1].replace('1e-4', '0.5')
    config.write_text(f"_base_ = '{ROOT / DEMO}'\n{hooks}")
    log = tool('train', config, '--data-root', shapes, options=length(1))
    saved, key = read_checkpoint(tmp_path / 'run0' / 'epoch_1.pth'), 'backbone.norm.bias'
    assert not saved['state_dict'][key].equal(saved['ema_state_dict'][f'module.{key}'])
    assert accuracies(log) == accuracies(tool('test', config, tmp_path / 'run0' / 'epoch_1.pth', '--data-root', shapes))


def test_bad_input_is_one_line(shapes, imagenet, tmp_path, capfd, monkeypatch):
    folder = imagenet[0]
    file = folder / 'weights' / ZOO['fcvit/tiny'].file
    bare = tmp_path / 'bare.py'
    bare.write_text("default_scope = 'mmpretrain'\nmodel = dict(type='ImageClassifier', head=dict(type='LinearClsHead'))\n")
    one = tmp_path / 'one'
    for split in ('train', 'val'):
        for name in ('cross', 'disc', 'ring', 'square', 'star', 'triangle'):
            (one / split / name).mkdir(parents=True)
            if (split, name) != ('val', 'star'):
                os.link(next((shapes / 'train' / name).iterdir()), one / split / name / 'x.jpg')
    renamed = tmp_path / 'renamed'
    (renamed / 'train').mkdir(parents=True)
    (renamed / 'val').symlink_to(shapes / 'val')
    for name in (shapes / 'train').iterdir():
        (renamed / 'train' / name.name.replace('star', 'asterisk')).symlink_to(name)
    (tmp_path / 'none' / 'train').mkdir(parents=True)
    (tmp_path / 'none' / 'val').mkdir(parents=True)
    cases = [
        ('train', [IMAGENET, '--data-root', shapes], ['6 folders of classes (cross, disc', '1000 classes']),
        ('train', [DEMO, '--data-root', shapes, '--cfg-options', 'model.head.num_classes=7'],
         ['model.head.num_classes is 7', '6 classes']),
        ('train', [DEMO, '--data-root', tmp_path / 'none'], ['none/train', 'has no folders']),
        ('train', [DEMO, '--data-root', one], ['val_dataloader', 'star has no pictures']),
        ('train', [DEMO, '--data-root', renamed], ['folders of classes differ', 'asterisk']),
        ('train', [DEMO, '--data-root', tmp_path / 'nowhere'], ['There is no data root']),
        ('train', [DEMO, '--data-root', folder / 'data'], ['data/train, which does not exist']),
        ('train', [IMAGENET, '--backbone', 'swin/tyni', '--data-root', shapes], ["no backbone 'swin/tyni'", 'swin/tiny']),
        ('train', [bare, '--backbone', 'swin/tiny'], ['no backbone to replace']),
        ('test', [IMAGENET, file, '--backbone', 'swin/tiny', '--data-root', folder / 'data'],
         ['does not fit', 'nothing was loaded']),
        ('predict', [IMAGENET, file, shapes / 'val', '--backbone', 'fcvit/tiny'], ['holds no images']),
    ]
    for tool, arguments, words in cases:
        rest = [] if tool == 'predict' else ['--work-dir', tmp_path / 'out']
        status, line = use(capfd, monkeypatch, tool, *arguments, *rest)
        assert status == 2 and line.startswith(f'{tool}.py: error: '), (arguments, line)
        assert all(word in line for word in words), line
    assert not list(Path(tmp_path).rglob('*.pth'))


@pytest.mark.parametrize('spoil, word', [
    (lambda path: path.write_bytes(b''), 'is empty'),
    (lambda path: path.write_bytes(path.read_bytes()[:900]), 'damaged'),
])
def test_broken_pictures(imagenet, pictures, tmp_path, capfd, monkeypatch, spoil, word):
    """One that Pillow decodes, which does not name it."""
    folder = imagenet[0]
    shutil.copytree(folder / 'data', tmp_path / 'data')
    spoil(tmp_path / 'data' / 'val' / 'upright.jpg')
    status, line = use(
        capfd, monkeypatch, 'test', IMAGENET, folder / 'weights' / ZOO['fcvit/tiny'].file, '--backbone', 'fcvit/tiny',
        '--data-root', tmp_path / 'data', '--work-dir', tmp_path / 'out', '--cfg-options', *QUICK[2:])
    assert status == 2 and 'upright.jpg' in line and word in line, line
