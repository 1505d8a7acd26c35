"""Each tool does a tiny real job, as a user would call it."""
import json
import os
import platform
import re
import runpy
import signal
import sys
from pathlib import Path

import cv2
import pytest
import torch
from conftest import DATA, ROOT, SMALLEST, authors_state, build, call, call_and_kill, hide, read_record

from mmvit_backbones.datasets import make_shapes
from mmvit_backbones.engine.config import UsageError

TOOLS = sorted(path.name for path in (ROOT / 'tools').glob('*.py'))
MASK_RCNN, UPERNET = 'configs/maskrcnn_cswin_demo_shapes.py', 'configs/upernet_cswin_demo_shapes.py'
QUICK = ('train_dataloader.batch_size=2', 'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False',
         'val_dataloader.num_workers=0', 'val_dataloader.persistent_workers=False', 'test_dataloader.num_workers=0',
         'test_dataloader.persistent_workers=False', 'default_hooks.logger.interval=1')


@pytest.fixture(scope='module')
def shapes(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'shapes'
    make_shapes(root, num_train=8, num_val=4, size=(64, 64))
    return root


def train(config, work_dir, shapes, *options, epochs=1, **kwargs):
    length = ('train_cfg.max_iters=2', 'train_cfg.val_interval=2', 'default_hooks.checkpoint.interval=1') \
        if config == UPERNET else (f'train_cfg.max_epochs={epochs}', 'train_cfg.val_interval=1')
    return call('train.py', config, '--work-dir', work_dir, '--data-root', shapes, *options, '--cfg-options', *QUICK, *length, **kwargs)


@pytest.fixture(scope='module')
def detector(shapes, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('detector')
    log = train(MASK_RCNN, work_dir, shapes)
    assert re.search(r'bbox_mAP: .*segm_mAP', log.replace('\n', ' '))
    return work_dir / 'epoch_1.pth'


@pytest.fixture(scope='module')
def segmentor(shapes, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('segmentor')
    assert 'mIoU' in train(UPERNET, work_dir, shapes)
    return work_dir / 'iter_2.pth'


@pytest.mark.parametrize('tool', TOOLS)
def test_help(tool):
    assert 'usage:' in call(tool, '--help')


@pytest.mark.parametrize('tool', ['train.py', 'test.py', 'predict.py'])
def test_without_openmmlab(tool, tmp_path):
    """A missing package is named, with what installs it."""
    hide(tmp_path, 'mmdet', 'mmcv', 'mmseg')
    assert 'usage:' in call(tool, '--help', PYTHONPATH=str(tmp_path))
    (tmp_path / 'x.pth').write_bytes(b'x')
    (tmp_path / 'x.png').write_bytes(b'x')
    rest = dict([('train.py', []), ('test.py', [tmp_path / 'x.pth']),
                 ('predict.py', [tmp_path / 'x.pth', tmp_path / 'x.png', '--out', tmp_path / 'out'])])[tool]
    out = call(tool, MASK_RCNN, *rest, status=2, PYTHONPATH=str(tmp_path))
    assert 'pip install -e .[onedl]' in out and 'Traceback' not in out


def test_test_and_predict(shapes, detector, segmentor, tmp_path):
    for config, checkpoint, out in ((MASK_RCNN, detector, tmp_path / 'out.pkl'), (UPERNET, segmentor, tmp_path / 'labels')):
        work_dir = tmp_path / checkpoint.stem
        log = call('test.py', config, checkpoint, '--data-root', shapes, '--work-dir', work_dir, '--out', out, '--show-dir', work_dir / 'shown',
                   '--cfg-options', *QUICK, 'default_hooks.visualization.interval=1')
        assert 'bbox_mAP' in log or 'mIoU' in log
        assert out.exists() and list((work_dir / 'shown').rglob('*.*g'))
        images = sorted((shapes / 'val2017').glob('*.jpg'))
        call('predict.py', config, checkpoint, shapes / 'val2017', '--out', work_dir / 'drawn', '--score-thr', '0')
        drawn = sorted((work_dir / 'drawn').glob('*.jpg'))
        assert [path.name for path in drawn] == [path.name for path in images]
        assert (cv2.imread(str(drawn[0])) != cv2.imread(str(images[0]))).any(), 'something is drawn'
    assert len(list((tmp_path / 'labels').iterdir())) == 4


def test_tta(shapes, detector, segmentor, tmp_path):
    assert 'no test-time augmentation of instance masks' in call(
        'test.py', MASK_RCNN, detector, '--data-root', shapes, '--tta', status=2)
    assert 'mIoU' in call('test.py', UPERNET, segmentor, '--data-root', shapes, '--tta', '--work-dir', tmp_path, '--cfg-options', *QUICK)


def test_resume_after_being_killed(shapes, tmp_path):
    call_and_kill(tmp_path / 'epoch_2.pth', 'train.py', MASK_RCNN, '--work-dir', tmp_path, '--data-root', shapes, '--cfg-options',
                  *QUICK, 'train_cfg.max_epochs=40', 'train_cfg.val_interval=40')
    saved = sorted(tmp_path.glob('epoch_*.pth'), key=lambda path: int(path.stem[6:]))
    assert all(flag in train(MASK_RCNN, tmp_path, shapes, status=2) for flag in ('--resume', '--work-dir', '--overwrite'))
    damaged = bytearray(saved[-1].read_bytes())
    damaged[len(damaged) // 2] ^= 1
    saved[-1].write_bytes(damaged)
    done = len(saved) - 1
    out = train(MASK_RCNN, tmp_path, shapes, '--resume', epochs=done + 1)
    assert f'epoch_{done}.pth, the newest whole checkpoint: epoch_{done + 1}.pth ends too early or is damaged' in out
    assert f'resumed epoch: {done}' in out and f'Epoch(train) [{done + 1}]' in re.sub(' +', ' ', out)
    assert f'Epoch(train) [{done}]' not in re.sub(' +', ' ', out)


def test_two_processes(shapes, tmp_path):
    """DDP on two CPU processes: frozen stages and a subset of levels leave no parameter without a gradient."""
    path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    out = call('tools/dist_train.sh', MASK_RCNN, '2', '--work-dir', tmp_path, '--data-root', shapes, '--cfg-options', *QUICK,
               'train_cfg.max_epochs=1', 'model.backbone.frozen_stages=1',
               'model.backbone.with_cp=True', PATH=path, PORT='29631', OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    assert 'GPU number: 2' in out or 'Distributed launcher: pytorch' in out
    assert 'segm_mAP' in out and (tmp_path / 'epoch_1.pth').exists()


@pytest.mark.skipif(not Path('/proc/self/task').is_dir(), reason='lists threads as Linux does')
def test_a_process_group_ends_with_its_tool():
    """gloo's threads must be joined before Python ends: one that drops a tensor then aborts the process."""
    program = """if True:
        import time
        from pathlib import Path
        import torch
        from mmengine.config import Config
        from mmvit_backbones.engine.config import run, set_launcher

        def threads():
            return sorted(path.name for path in Path('/proc/self/task').iterdir())

        def main():
            set_launcher(Config(), 'pytorch', 0)
            model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 2))
            model(torch.ones(1, 2)).sum().backward()
            assert threads() != before

        before = threads()
        run(main)
        end = time.monotonic() + 20  # Linux lists a thread for a moment after it was joined
        while threads() != before and time.monotonic() < end:
            time.sleep(.05)
        assert threads() == before"""
    call(sys.executable, '-c', program, RANK='0', WORLD_SIZE='1', MASTER_ADDR='127.0.0.1', MASTER_PORT='29632',
         OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')


def test_missing_weights_stop_a_run(shapes, tmp_path):
    out = call('train.py', MASK_RCNN, '--work-dir', tmp_path, '--data-root', shapes, '--cfg-options', *QUICK,
               'model.backbone.init_cfg.type=Pretrained', 'model.backbone.init_cfg.checkpoint=mmvit://cswin/base_22k', status=2,
               MMVIT_WEIGHTS=str(tmp_path))
    assert 'has not published' in out.replace('have', 'has') and str(tmp_path) in out


def test_convert_checkpoint(tmp_path):
    state = authors_state(read_record(DATA / 'cswin' / 'tiny.json'))
    torch.save(dict(state_dict_ema=state), tmp_path / 'in.pth')
    out = call('convert_checkpoint.py', tmp_path / 'in.pth', tmp_path / 'out.pth')
    assert 'cswin/tiny: 422 of 422 tensors loaded' in out and 'head.weight' in out
    model = build('cswin/tiny')
    model.load_state_dict(torch.load(tmp_path / 'out.pth')['state_dict'], strict=True)
    assert torch.equal(model.norm0.weight, state['norm1.weight'])
    assert 'does not fit' in call('convert_checkpoint.py', tmp_path / 'in.pth', tmp_path / 'no.pth', '--arch', 'cswin/small', status=2)
    assert "no backbone 'x'" in call('convert_checkpoint.py', tmp_path / 'in.pth', tmp_path / 'no.pth', '--arch', 'x', status=2)
    assert not (tmp_path / 'no.pth').exists()


@pytest.mark.parametrize('mode', ['infer', pytest.param('train', marks=pytest.mark.long)])
def test_benchmark(tmp_path, mode):
    out = call('benchmark.py', 'cswin/tiny', '--size', '224x224', '--mode', mode, '--device', 'cpu', '--runs', '2', '--json', tmp_path / 'x.json')
    assert 'cswin/tiny' in out
    data = json.loads((tmp_path / 'x.json').read_text())
    row, = data['rows']
    assert row['params'] == sum(p.numel() for p in build('cswin/tiny').parameters())
    assert round(row['macs'] / 1e9, 2) == 4.33 and row['flops'] == 2 * row['macs']
    assert row['latency'] > 0 and row['peak_memory'] > 0 and 0 < row['share_of_matmul_rate'] < 2
    assert data['machine']['cpu'] and 1 <= data['machine']['threads'] <= data['machine']['cpus']
    assert str(tmp_path) not in json.dumps(data) and platform.node() not in json.dumps(data), 'files that may be published'


def kill(name, args):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_benchmark_that_is_killed(monkeypatch):
    """As the system does it where memory runs out: the tool does not wait for ever."""
    main = runpy.run_path(str(ROOT / 'tools' / 'benchmark.py'))['main']
    monkeypatch.setitem(main.__globals__, 'measure', kill)
    monkeypatch.setattr(sys, 'argv', ['benchmark.py', 'pvt_v2/b0', '--size', '32x32', '--device', 'cpu'])
    with pytest.raises(UsageError, match='pvt_v2/b0: its process was killed'):
        main()


@pytest.mark.long
def test_benchmark_beside_a_peer(tmp_path):
    pytest.importorskip('timm')
    out = call('benchmark.py', 'pvt_v2/b0', 'cswin/tiny', '--size', '64x96', '--mode', 'train', '--device', 'cpu', '--runs', '1',
               '--peer', 'timm', '--json', tmp_path / 'x.json')
    assert 'not in timm: cswin/tiny' in out and 'times as fast' in out
    row, = json.loads((tmp_path / 'x.json').read_text())['rows']
    assert row['name'] == 'pvt_v2/b0' and row['difference'] < 1e-4 and row['peer_latency'] > 0


@pytest.mark.long
def test_benchmark_times_nothing_beside_another_function():
    """At 224 x 224 the last stage is one window, which timm does not shift, and the authors' dense code does."""
    pytest.importorskip('timm')
    arguments = 'swin/tiny', '--size', '224x224', '--device', 'cpu', '--runs', '1', '--peer', 'timm'
    out = call('benchmark.py', *arguments, status=2)
    assert 'error: swin_tiny_patch4_window7_224 is not the same function as swin/tiny at this size' in out
    out = call('benchmark.py', 'pvt_v2/b0', *arguments)
    assert 'swin_tiny_patch4_window7_224 is not the same function' in out and 'times as fast' in out


@pytest.mark.long
def test_sizes_of_the_benchmark():
    """Every family has a small and a base variant, by the number of parameters and among those with weights."""
    choose = runpy.run_path(str(ROOT / 'tools' / 'benchmark.py'))['choose']
    small, base = choose(['small']), choose(['base'])
    assert {name.split('/')[0] for name in small} == {name.split('/')[0] for name in base} == set(SMALLEST)
    assert {'swin/tiny', 'pvt_v2/b2', 't2t_vit/t2t_vit_14'} < set(small)
    assert {'swin/base', 'cswin/base', 'pvt_v2/b5', 'twins_svt/large'} < set(base)
    both = choose(['small', 'base', 'swin/tiny'])
    assert len(both) == len(set(both)) and set(both) == {*small, *base}


@pytest.mark.parametrize('device', ['cpu', 'cuda'])
def test_recording_asks_for_what_the_benchmark_takes(device, tmp_path, monkeypatch):
    out = call('bash', 'tools/record_speed.sh', device, tmp_path / 'speed', PY='echo')
    commands = [line.split() for line in out.splitlines() if line.startswith('tools/benchmark.py')]
    parse_args = runpy.run_path(str(ROOT / 'tools' / 'benchmark.py'))['parse_args']
    found = []
    for words in commands:
        monkeypatch.setattr(sys, 'argv', words)
        found.append(parse_args())
    assert {args.peer for args in found} == {None, 'timm', 'mmdet'} and {args.with_cp for args in found} == {False, True}
    assert {args.device for args in found} == {device} and len({args.json for args in found}) == len(found) == len(commands)
    assert all(Path(args.json).parent == tmp_path / 'speed' for args in found)
    assert 'usage' in call('bash', 'tools/record_speed.sh', 'tpu', tmp_path / 'other', PY='echo', status=2)
