"""Weights: whole, or not at all and with a message that helps."""
import argparse
import sys
import tarfile
from types import ModuleType

import pytest
import torch
from conftest import DATA, SMALLEST, authors_state, build, read_record, records, tiny
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from mmengine.runner import load_checkpoint as mmengine_load_checkpoint
from mmengine.runner import load_state_dict as mmengine_load_state_dict
from torch import nn

from mmvit_backbones.checkpoints import (CheckpointError, check_model, convert, identify, load_checkpoint,
                                         read_checkpoint, use_reader)

RECORD = DATA / 'cswin' / 'tiny.json'


@pytest.fixture(scope='module')
def state():
    return authors_state(read_record(RECORD))


def cswin(**options):
    return build('cswin/tiny', **options)


def is_loaded(model, state):
    return (torch.equal(model.patch_embed.proj.weight, state['stage1_conv_embed.0.weight'])
            and torch.equal(model.stages[3].blocks[0].attn.branches[0].lepe.weight, state['stage4.0.attns.0.get_v.weight'])
            and torch.equal(model.norm3.bias, state['norm4.bias']))


class Detector(nn.Module):

    def __init__(self, **options):
        super().__init__()
        self.backbone = cswin(**options)
        self.head = nn.Linear(2, 2)


@pytest.mark.parametrize('wrap', [
    lambda state: state,
    lambda state: dict(model=state, epoch=3, args=argparse.Namespace(lr=.1)),
    lambda state: dict(epoch=3, model_state=state, optimizer_state=dict(state={}), cfg='A: 1'),
    lambda state: dict(state_dict={key: value * 0 for key, value in state.items()}, state_dict_ema=state),
    lambda state: dict(state_dict={f'module.{key}': value for key, value in state.items()}),
    lambda state: dict(state_dict={**{f'backbone.{key}': value for key, value in state.items()}, 'decode_head.x': torch.ones(1)}),
    lambda state: {f'module.backbone.{key}': value for key, value in state.items()},
], ids=['bare', 'model', 'model_state', 'ema', 'module', 'segmentor', 'both'])
def test_wrappings(tmp_path, state, wrap):
    torch.save(wrap(state), tmp_path / 'file.pth')
    model = cswin(init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'file.pth')))
    model.init_weights()
    assert is_loaded(model, state)


def test_the_report_sums_up(tmp_path, state, caplog):
    classifier = {key: value for key, value in state.items() if key not in read_record(RECORD)['dense_state']}
    torch.save(classifier, tmp_path / 'file.pth')
    model = cswin(out_indices=(1, 2))
    report = load_checkpoint(model, tmp_path / 'file.pth')
    assert report.complete and report.new == ['norm1.weight', 'norm1.bias', 'norm2.weight', 'norm2.bias']
    assert 'head.weight' in report.dropped and 'stage4.0.qkv.weight' in report.dropped
    assert len(report.loaded) + len(report.new) == report.total == len(model.state_dict())
    assert f'{len(report.loaded)} of {report.total} tensors loaded' in str(report) and '4 new' in str(report)


def test_our_own_layout_comes_back(tmp_path, state):
    model = cswin()
    model.load_state_dict(state)
    for wrapped in (model.state_dict(), dict(state_dict={'backbone.' + key: v for key, v in model.state_dict().items()})):
        torch.save(wrapped, tmp_path / 'file.pth')
        other = cswin()
        assert load_checkpoint(other, tmp_path / 'file.pth').layout == "this package's"
        assert is_loaded(other, state)


@pytest.mark.parametrize('name', sorted(set(SMALLEST.values()) & {name for name, _ in records()}))
def test_every_family_loads_what_its_authors_save(tmp_path, name):
    record = read_record(DATA / f'{name}.json')
    torch.save(dict(model=authors_state(record)), tmp_path / 'file.pth')
    report = load_checkpoint(build(name), tmp_path / 'file.pth')
    assert report.complete and report.layout == "the authors'"
    assert name in identify(read_checkpoint(tmp_path / 'file.pth'))


@pytest.mark.parametrize('load', [nn.Module.load_state_dict, mmengine_load_state_dict], ids=['torch', 'mmengine'])
def test_load_state_dict_of_a_detector(state, load):
    detector = Detector()
    load(detector, {**{'backbone.' + key: value for key, value in state.items()}, **{f'head.{k}': v for k, v in detector.head.state_dict().items()}})
    assert is_loaded(detector.backbone, state)


def test_load_from(tmp_path, state):
    detector = Detector()
    torch.save(dict(state_dict={'backbone.' + key: value for key, value in state.items()}), tmp_path / 'file.pth')
    mmengine_load_checkpoint(detector, str(tmp_path / 'file.pth'))
    assert is_loaded(detector.backbone, state)


def test_load_from_with_weights_of_a_backbone_alone(tmp_path, state):
    torch.save(state, tmp_path / 'file.pth')
    with pytest.raises(CheckpointError, match='nothing was loaded'):
        mmengine_load_checkpoint(Detector(), str(tmp_path / 'file.pth'))


def test_the_state_dict_of_the_caller_stays_as_it_is(state):
    keys = list(state)
    cswin().load_state_dict(state)
    assert list(state) == keys


@pytest.mark.parametrize('channels', [1, 2, 4])
def test_other_image_channels_respond_as_to_grey(state, channels):
    rgb, other = cswin(), cswin(in_channels=channels)
    rgb.load_state_dict(state)
    other.load_state_dict(state)
    grey = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        a, b = rgb(grey.expand(-1, 3, -1, -1)), other(grey.expand(-1, channels, -1, -1))
    if channels != 2:  # two of the three colours are no grey
        assert all(torch.allclose(x, y, atol=1e-3) for x, y in zip(a, b)) or channels == 4
    assert other.patch_embed.proj.weight.shape[1] == channels


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.values(), b.values()))


@pytest.mark.parametrize('change, message', [
    (lambda state: state.pop('stage3.4.qkv.weight'), r'1 missing \(stages.2.blocks.4.attn.qkv.weight\)'),
    (lambda state: state.update(extra=torch.ones(2)), r'1 unexplained \(extra\)'),
    (lambda state: state.update({'merge1.conv.weight': torch.ones(2, 2)}), 'of another shape'),
    (lambda state: [state.pop(key) for key in list(state) if not key.startswith('norm')], 'missing'),
])
def test_a_file_that_does_not_fit_loads_nothing(tmp_path, state, change, message):
    state = dict(state)
    change(state)
    torch.save(state, tmp_path / 'file.pth')
    model = cswin()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(model, tmp_path / 'file.pth')
    with pytest.raises(CheckpointError, match=message):
        model.load_state_dict(state)
    assert same(before, model.state_dict())


def test_another_variant_is_named(tmp_path):
    torch.save(authors_state(read_record(DATA / 'cswin' / 'small.json')), tmp_path / 'file.pth')
    with pytest.raises(CheckpointError, match='looks like cswin/small'):
        load_checkpoint(cswin(), tmp_path / 'file.pth')


def test_a_detector_of_another_backbone(tmp_path):
    torch.save(dict(state_dict={'backbone.layer1.0.conv1.weight': torch.ones(2, 2, 3, 3)}), tmp_path / 'file.pth')
    with pytest.raises(CheckpointError, match='none of the backbones'):
        load_checkpoint(cswin(), tmp_path / 'file.pth')


@pytest.mark.parametrize('content, message', [
    (b'', 'is empty'),
    (b'version https://git-lfs.github.com/spec/v1\noid sha256:1\n', 'git lfs pull'),
    (b'<!DOCTYPE html><html>', 'a web page'),
    (b'hello', 'a text file'),
    (b'\x00\xff\x13' * 9, 'unknown format'),
    (b'\x80\x02}q\x00.', 'damaged'),
    (b'\x80\x02}q\x00', 'damaged'),
])
def test_files_that_are_no_checkpoints(tmp_path, content, message):
    (tmp_path / 'file.pth').write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(tmp_path / 'file.pth')


def test_programs_and_archives_are_no_checkpoints(tmp_path):
    torch.jit.script(nn.Linear(1, 1)).save(str(tmp_path / 'file.pth'))
    with pytest.raises(CheckpointError, match='TorchScript'):
        read_checkpoint(tmp_path / 'file.pth')
    with tarfile.open(tmp_path / 'file.tar', 'w', format=tarfile.GNU_FORMAT, encoding='latin-1') as archive:
        archive.addfile(tarfile.TarInfo('\x80'))
    assert (tmp_path / 'file.tar').read_bytes().startswith(b'\x80')  # PyTorch unpacks such an archive
    with pytest.raises(CheckpointError, match='damaged, or not a checkpoint'):
        read_checkpoint(tmp_path / 'file.tar')


def test_missing_and_truncated_files(tmp_path, state):
    with pytest.raises(CheckpointError, match='There is no checkpoint'):
        read_checkpoint(tmp_path / 'none.pth')
    torch.save(state, tmp_path / 'file.pth')
    whole = (tmp_path / 'file.pth').read_bytes()
    (tmp_path / 'file.pth').write_bytes(whole[:len(whole) // 2])
    with pytest.raises(CheckpointError, match='ends too early'):
        read_checkpoint(tmp_path / 'file.pth')
    (tmp_path / 'file.pth').write_bytes(whole.replace(b'PK\x01\x02', b'PK\x00\x00'))
    with pytest.raises(CheckpointError, match='is damaged'):
        read_checkpoint(tmp_path / 'file.pth')
    torch.save(state, tmp_path / 'old.pth', _use_new_zipfile_serialization=False)
    whole = (tmp_path / 'old.pth').read_bytes()
    assert is_loaded_from(tmp_path / 'old.pth', state)
    (tmp_path / 'old.pth').write_bytes(whole[:len(whole) // 2])
    with pytest.raises(CheckpointError, match='damaged'):
        read_checkpoint(tmp_path / 'old.pth')


def is_loaded_from(path, state):
    model = cswin()
    load_checkpoint(model, path)
    return is_loaded(model, state)


class Surprise:
    """Runs code when it is unpickled."""
    ran = False

    def __reduce__(self):
        return (setattr, (Surprise, 'ran', True))


def test_code_in_a_file_is_not_run(tmp_path, state):
    Surprise.ran = False
    torch.save(dict(model=state, hook=Surprise()), tmp_path / 'file.pth')
    with pytest.raises(CheckpointError, match='--trust'):
        read_checkpoint(tmp_path / 'file.pth')
    assert not Surprise.ran
    assert 'model' in read_checkpoint(tmp_path / 'file.pth', trust=True)
    assert Surprise.ran


def test_what_training_scripts_save_is_read(tmp_path, state):
    import numpy as np
    beside = dict(args=argparse.Namespace(a=1), history=HistoryBuffer([1., 2.], [1, 1]), best=np.float64(.8), lr=np.ones(3))
    torch.save(dict(model=state, **beside), tmp_path / 'file.pth')
    assert read_checkpoint(tmp_path / 'file.pth')['args'].a == 1


def test_safetensors(tmp_path, state):
    from safetensors.torch import save_file
    save_file(state, tmp_path / 'file.safetensors')
    assert is_loaded_from(tmp_path / 'file.safetensors', state)


def test_wrong_init_cfg():
    with pytest.raises(ValueError, match='revise_keys'):
        cswin(init_cfg=dict(type='Pretrained', checkpoint='x.pth', revise_keys=[])).init_weights()
    for wrong in (5, 'x.pth', [1, 2], dict(checkpoint='x.pth')):
        with pytest.raises(ValueError, match='init_cfg must be a dict with a type'):
            cswin(init_cfg=wrong).init_weights()


def test_resume_of_a_frozen_and_checkpointed_model():
    model = tiny('cswin/tiny', frozen_stages=1, with_cp=True)
    other = tiny('cswin/tiny')
    other.load_state_dict(model.state_dict())
    assert same(model.state_dict(), other.state_dict())


def test_settings_of_swin_style_training_are_read(tmp_path, state, monkeypatch):
    """Such files hold a node of yacs, which isn't installed here."""
    yacs, config = ModuleType('yacs'), ModuleType('yacs.config')
    config.CfgNode = type('CfgNode', (dict, ), dict(__module__='yacs.config'))
    node = config.CfgNode(DEPTHS=[2, 2])
    node.__dict__['__immutable__'] = True
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, 'yacs', yacs)
        patch.setitem(sys.modules, 'yacs.config', config)
        torch.save(dict(model=state, config=node), tmp_path / 'file.pth')
    assert read_checkpoint(tmp_path / 'file.pth')['config']['DEPTHS'] == [2, 2]


KEY = 'stage3.4.qkv.weight'


@pytest.mark.parametrize('change, message', [
    (lambda value: value.to_sparse(), 'sparse'),
    (lambda value: torch.quantize_per_tensor(value, .1, 0, torch.qint8), 'quantized'),
    (lambda value: value.to('meta'), 'meta device'),
    (lambda value: value.numpy(), 'a NumPy ndarray'),
    (lambda value: value.index_fill(0, torch.tensor([3]), float('nan')), 'NaN or infinite'),
    (lambda value: value.index_fill(0, torch.tensor([3]), float('-inf')), 'NaN or infinite'),
    (lambda value: value.double().fill_(1e300), 'NaN or infinite'),
    (lambda value: value.long(), 'int64, not float32'),
    (lambda value: value > 0, 'bool, not float32'),
    (lambda value: value.to(torch.complex64), 'complex64, not float32'),
], ids=lambda value: value if isinstance(value, str) else '')
@pytest.mark.parametrize('own', [False, True], ids=["the authors' layout", 'ours'])
def test_values_that_are_no_weights(state, change, message, own):
    """All are checked before one is copied: nothing of the model changes, whichever way the values come."""
    model = cswin()
    wrong, key = dict(state), KEY
    if own:
        wrong, key = dict(model.state_dict()), 'stages.2.blocks.4.attn.qkv.weight'
    wrong[key] = change(wrong[key].clone())
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=f'such as stages.2.blocks.4.attn.qkv.weight: .*{message}'):
        model.load_state_dict(wrong)
    assert same(before, model.state_dict())


def test_other_precisions_are_weights(state):
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        model = cswin()
        model.load_state_dict({key: value.to(dtype) for key, value in state.items()})
        assert model.patch_embed.proj.weight.dtype == torch.float32


def test_a_norm_is_one_unit(tmp_path, state):
    half = {key: value for key, value in state.items() if key != 'norm4.bias'}
    with pytest.raises(CheckpointError, match=r'1 missing \(norm3.bias\)'):
        cswin().load_state_dict(half)


@pytest.mark.parametrize('name, others', [
    ('cswin/base', 'cswin/base_384'),
    ('t2t_vit/t2t_vit_14', 't2t_vit/t2t_vit_14_resnext'),
])
def test_variants_of_one_layout_are_named(name, others):
    model = build(name)
    report = convert(model, authors_state(read_record(DATA / f'{name}.json')))[1]
    assert others in report.fits_too and f'fits {others}' in str(report)


def test_a_file_of_another_window_is_named():
    state = build('swin/base_window12_384').state_dict()
    report = convert(build('swin/base'), state)[1]
    assert report.resized and report.fits_too == ['swin/base_window12_384']
    assert convert(build('swin/base'), build('swin/base').state_dict())[1].fits_too == []


def test_foreign_files_are_clear_errors(family, monkeypatch):
    """Whatever the shapes of a foreign file's tensors, no resizing stumbles over them."""
    monkeypatch.setattr('mmvit_backbones.checkpoints.load.identify', lambda checkpoint: [])  # which takes its time
    model = tiny(SMALLEST[family])
    own = model.state_dict()
    for shape in ((), (3, ), (1, 1, 1), (1, 2, 7), (0, 4), (5, 5, 3, 3)):
        with pytest.raises(CheckpointError, match='of another shape'):
            model.load_state_dict({key: torch.ones(shape) for key in own})


def test_whole_models(state):
    detector = Detector()
    whole = detector.state_dict()
    assert check_model(detector, dict(state_dict=whole), whole=True).complete
    assert check_model(detector, dict(state_dict={f'module.{key}': value for key, value in whole.items()}), whole=True).complete
    authors = {**{f'backbone.{key}': value for key, value in state.items()}, 'head.weight': torch.ones(2, 2), 'head.bias': torch.ones(2)}
    assert check_model(detector, authors, whole=True).complete
    for change, message in (
        (lambda state: state.pop('head.bias'), r'1 missing \(head.bias\)'),
        (lambda state: state.update({'head.weight': torch.ones(3, 2)}), 'of another shape'),
        (lambda state: state.update({'head.weight': torch.full((2, 2), float('nan'))}), 'NaN'),
    ):
        part = dict(whole)
        change(part)
        with pytest.raises(CheckpointError, match=message):
            check_model(detector, part, whole=True)
        assert not check_model(detector, part, whole=False).complete
    for broken in (dict(whole), {key: value for key, value in whole.items() if key.startswith('head')}):
        broken.pop('backbone.patch_embed.proj.weight', None)
        with pytest.raises(CheckpointError, match='nothing was loaded'):
            check_model(detector, broken, whole=False)
    assert check_model(detector, {**whole, 'mask_head.x': torch.ones(1)}, whole=True).dropped == ['mask_head.x']


def test_mmengine_reads_as_we_do(tmp_path, state, monkeypatch):
    """Plain data beside the weights of a run, every scheme, and no program in the settings of an old run."""
    monkeypatch.setattr(CheckpointLoader, '_schemes', CheckpointLoader._schemes)
    use_reader()
    checkpoint = dict(
        state_dict={f'backbone.{key}': value for key, value in state.items()}, meta=dict(epoch=1, config='raise SystemExit'),
        message_hub=dict(log_scalars=dict(loss=HistoryBuffer([2., 4.], [1, 1])), runtime_info={}, resumed_keys={}))
    torch.save(checkpoint, tmp_path / 'cswin_tiny_224.pth')
    monkeypatch.setenv('MMVIT_WEIGHTS', str(tmp_path))
    for source in (str(tmp_path / 'cswin_tiny_224.pth'), 'mmvit://cswin/tiny'):
        found = CheckpointLoader.load_checkpoint(source, 'cpu')
        assert found['meta'] == dict(epoch=1)
        history = found['message_hub']['log_scalars']['loss']
        history.update(6.)
        assert history.mean() == 4 and history.current() == 6
    for source, message in (('torchvision://nothing', 'not known'), ('s3://a/b.pth', 'expected a path'), ('none.pth', 'no checkpoint')):
        with pytest.raises(CheckpointError, match=message):
            CheckpointLoader.load_checkpoint(source, 'cpu')
