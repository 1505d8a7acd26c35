"""No code from a file, no memory beyond it, and nothing that outlives it: every way in, with files that try."""
import codecs
import copyreg
import io
import json
import os
import resource
import sys
import zipfile

import pytest
import torch
from conftest import build, call
from hostile import as_legacy, as_zip, bodies, bombs
from hostile import call as call_
from hostile import containers, name, program, text
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from mmengine.runner import load_checkpoint as mmengine_load_checkpoint
from torch import nn

from mmvit_backbones.checkpoints import (CheckpointError, check_file, load_checkpoint, pickles, read_checkpoint,
                                         use_reader)
from mmvit_backbones.datasets import make_shapes


@pytest.fixture(scope='module')
def corpus(tmp_path_factory):
    """(marker, {what it tries: path}): the folder that no file may make, and the files."""
    root = tmp_path_factory.mktemp('hostile')
    marker, files = root / 'ran', {}
    contents = {**containers(marker), **bombs()}
    for what, body in bodies(marker).items():
        contents[f'{what}, zip'] = as_zip(program(body))
        contents[f'{what}, legacy'] = as_legacy(program(body))
    for i, (what, content) in enumerate(contents.items()):
        files[what] = root / f'{i}.pth'
        files[what].write_bytes(content)
    return marker, files


@pytest.fixture(autouse=True)
def nothing_changes(corpus, monkeypatch):
    """What a file could reach stays as it is, and no door gets more than 4 GB more than it has."""
    ran = []
    codecs.register(hostile_codec := lambda name: ran.append(name) if name == 'hostile' else None)
    copyreg.add_extension('os', 'mkdir', 1)
    schemes = CheckpointLoader._schemes
    before = {cls: dict(vars(cls)) for cls in (HistoryBuffer, nn.Parameter)}
    statistics = dict(HistoryBuffer._statistics_methods)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize() if os.path.exists('/proc/self/statm') else None
    if used:
        resource.setrlimit(resource.RLIMIT_AS, (used + (4 << 30), limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)
    CheckpointLoader._schemes = schemes
    copyreg.remove_extension('os', 'mkdir', 1)
    if hasattr(codecs, 'unregister'):
        codecs.unregister(hostile_codec)
    assert not corpus[0].exists(), 'code from a file was run'
    assert not ran and 'antigravity' not in sys.modules
    assert before == {cls: dict(vars(cls)) for cls in before} and statistics == HistoryBuffer._statistics_methods


def refused(door, files):
    """What a door does with each file: None where it ends as it must, in a line of a CheckpointError."""
    wrong = {}
    for what, path in files.items():
        try:
            door(path)
        except CheckpointError as error:
            if '\n' in str(error) or len(str(error)) > 2000:
                wrong[what] = f'not one line: {error!r:.300}'
        else:
            wrong[what] = 'was taken'
    return wrong


def test_the_corpus_is_hostile(corpus):
    """Python's own unpickler does what the files ask for."""
    marker, files = corpus
    for what in ('a call, zip', 'protocol 3'):
        path = files[what]
        with pytest.raises(Exception):
            content = path.read_bytes() if what == 'protocol 3' else zipfile.ZipFile(path).read('archive/data.pkl')
            assert torch.serialization.pickle.loads(content) is not None
            raise ValueError('pickles end without a dict')
        assert marker.is_dir()
        marker.rmdir()
    assert len(files) > 60


def test_reading(corpus):
    assert refused(read_checkpoint, corpus[1]) == {}


def test_checking(corpus):
    """Files that could be trusted are sound, others are not; none of them is run."""
    bad = {what for what in corpus[1] if what in ('a compressed zip', 'TorchScript', 'tar') or what.startswith('npz')}
    assert len(bad) > 20 and bad <= set(corpus[1]) - set(refused(check_file, corpus[1]))


def test_init_cfg(corpus):
    model = build('pvt_v2/b0')
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert refused(lambda path: load_checkpoint(model, path), corpus[1]) == {}
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_mmengine(corpus):
    use_reader()
    model = nn.Linear(1, 1)
    assert refused(lambda path: mmengine_load_checkpoint(model, str(path)), corpus[1]) == {}


def test_beside_weights(corpus, tmp_path):
    """The rest of the file is as it should be."""
    marker, _ = corpus
    file = io.BytesIO()
    torch.save(build('pvt_v2/b0').state_dict(), file)
    with zipfile.ZipFile(file) as archive:
        parts = {name.partition('/')[2]: archive.read(name) for name in archive.namelist()}
    weights = parts.pop('data.pkl')[2:-1]
    parts.pop('version')
    files = {}
    for what, body in bodies(marker).items():
        # the hostile value goes to the end of what is memoised, and the weights come first
        data = b'\x80\x02}(X\x05\x00\x00\x00model' + weights + b'X\x05\x00\x00\x00other' + body + b'u.'
        files[what] = tmp_path / f'{len(files)}.pth'
        files[what].write_bytes(as_zip(data, parts.items()))
    (tmp_path / 'sound.pth').write_bytes(as_zip(b'\x80\x02}(X\x05\x00\x00\x00model' + weights + b'u.', parts.items()))
    model = build('pvt_v2/b0')
    assert load_checkpoint(model, tmp_path / 'sound.pth').complete
    assert refused(lambda path: load_checkpoint(model, path), files) == {}


def test_endless_and_odd_dicts(tmp_path):
    loop = {}
    loop['model'] = loop
    deep, one = {}, torch.ones(1)
    inner = deep
    for _ in range(50):
        inner['state_dict'] = inner = {}
    model = build('pvt_v2/b0')
    state = model.state_dict()
    files = {
        'itself': loop,
        'deep': deep,
        'numbers': {1: torch.ones(2), **state},
        'a long number': {1 << 20000: torch.ones(2), **state},
        'a scalar to split': {'attn.in_proj_weight': torch.tensor(1.), **state},
        'a stem without channels': {**state, 'patch_embed.proj.weight': torch.ones(32, 0, 7, 7)},
        'many': {f'backbone.{i}': one for i in range(20001)},
        'prefixes': {'module.' * 4000 + 'x': torch.ones(1)},
        'newlines': {**state, 'a\nb' * 1000: torch.ones(1)},
        'nothing': {},
    }
    for name, content in files.items():
        torch.save(content, tmp_path / name)
    assert refused(lambda path: load_checkpoint(model, path), {name: tmp_path / name for name in files}) == {}


def test_a_pickle_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(pickles, 'MOST_INSTRUCTIONS', 1000)
    (tmp_path / 'x.pth').write_bytes(as_zip(program(b'}0' * 1000 + b'}')))
    with pytest.raises(CheckpointError, match='more than 1,000 instructions'):
        read_checkpoint(tmp_path / 'x.pth')


def test_versions_of_modules(tmp_path):
    """Only numbers: torch would do as other entries say."""
    state = build('pvt_v2/b0').state_dict()
    state._metadata.update({'': dict(version=2, assign_to_params_buffers=True), 'x': dict(version='1'), 'y': 3})
    torch.save(state, tmp_path / 'x.pth')
    found = read_checkpoint(tmp_path / 'x.pth')._metadata
    assert found[''] == dict(version=2) and not {'x', 'y'} & set(found)


@pytest.mark.parametrize('legacy', [True, False])
def test_more_than_the_memory(legacy, tmp_path):
    """A file with holes, as large as it says."""
    size = 8 << 30
    header = json.dumps(dict(x=dict(dtype='U8', shape=[size], data_offsets=[0, size]))).encode()
    content = len(header).to_bytes(8, 'little') + header
    if legacy:
        long = b'\x8a\x05' + size.to_bytes(5, 'little')
        storage = b'(' + text('storage') + name('torch.ByteStorage') + text('0') + text('cpu') + long + b'tQ'
        tensor = call_(
            name('torch._utils._rebuild_tensor_v2'), storage, b'K\x00', b'(K\x01t', b'(K\x01t', b'K\x00', b'N')
        content = as_legacy(program(tensor), ['0'])
    with open(tmp_path / 'x.pth', 'wb') as file:
        file.write(content)
        file.truncate(len(content) + size)
    with pytest.raises(CheckpointError, match='more memory than there is'):
        read_checkpoint(tmp_path / 'x.pth')


def test_safetensors_without_its_package(tmp_path, monkeypatch):
    header = b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    (tmp_path / 'x.pth').write_bytes(len(header).to_bytes(8, 'little') + header + bytes(4))
    monkeypatch.setitem(sys.modules, 'safetensors', None)
    with pytest.raises(CheckpointError, match='pip install safetensors'):
        read_checkpoint(tmp_path / 'x.pth')


def test_tools(corpus, tmp_path_factory):
    """Every tool that takes a checkpoint, in one process."""
    root = tmp_path_factory.mktemp('tools')
    make_shapes(root / 'data', num_train=2, num_val=1, size=(64, 64), progress=False)
    picture = next((root / 'data' / 'val2017').iterdir())
    program = """if True:
        import io, runpy, sys
        from contextlib import redirect_stderr, redirect_stdout
        from pathlib import Path
        config, root, picture, *files = sys.argv[1:]
        data = ['--data-root', root + '/data', '--work-dir', root + '/run', '--cfg-options', 'train_dataloader.num_workers=0',
                'train_dataloader.persistent_workers=False']
        tools = {
            'test': lambda file: [config, file, *data],
            'predict': lambda file: [config, file, picture, '--out', root + '/drawn'],
            'convert_checkpoint': lambda file: [file, root + '/converted.pth'],
            'train': lambda file: [config, *data[:4], '--resume', file],
            'train from': lambda file: [config, *data, 'load_from=' + file],
        }
        for name, arguments in tools.items():
            for file in files if name != 'train from' else files[:2]:  # which builds the model each time
                tool = f'tools/{name.split()[0]}.py'
                sys.argv = [tool, *arguments(file)]
                errors = io.StringIO()
                try:
                    with redirect_stdout(io.StringIO()), redirect_stderr(errors):
                        runpy.run_path(tool, run_name='__main__')
                    status = 0
                except SystemExit as end:
                    status = end.code
                except Exception as error:
                    status = repr(error)
                last = errors.getvalue().strip().splitlines()[-1:]
                if status != 2 or 'error: ' not in ''.join(last):
                    print(name, file, status, last)
        print('done', Path(root, 'run').exists() and list(Path(root, 'run').glob('*.pth')), Path(root, 'converted.pth').exists())
    """
    files = list(corpus[1].values())[::8]  # all of them take three minutes
    out = call(sys.executable, '-c', program, 'configs/maskrcnn_cswin_demo_shapes.py', root, picture, *files)
    assert [line for line in out.splitlines() if not line.startswith(('Loads', '\r'))][-1] in ('done [] False', 'done False False'), out
    assert len(out.splitlines()) < 5, out
