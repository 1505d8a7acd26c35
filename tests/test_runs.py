"""Runs that are stopped in every possible way come back: nothing is lost but the last interval."""
import multiprocessing
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import tiny_run
import torch
from mmengine.config import Config

from mmvit_backbones.checkpoints import read_checkpoint
from mmvit_backbones.engine.saving import use_checkpoint_hook

PROCESSES = multiprocessing.get_context('forkserver')
PROCESSES.set_forkserver_preload([  # imported once, for all
    'mmvit_backbones.engine.work_dir', 'cv2', 'torchvision', 'torch._dynamo', 'torch.utils.cpp_extension'])
KILLED = -signal.SIGKILL


def begin(work_dir, resume=None, overwrite=False, step=None, file_size=None, killed=False, environment=(), **settings):
    log = f'{work_dir}{dict(environment).get("RANK", "")}.log'
    process = PROCESSES.Process(target=tiny_run.train, args=(
        tiny_run.config(work_dir, **settings), log, resume, overwrite, step, file_size, killed, environment))
    process.start()
    return process, Path(log)


def train(work_dir, *args, status=0, **kwargs):
    """Trains in a process of its own; returns what it printed."""
    process, log = begin(work_dir, *args, **kwargs)
    process.join(120)
    out = log.read_text()
    assert process.exitcode == status, out[-3000:]
    assert process.exitcode != 2 or 'Traceback' not in out and out.count('error:') == 1
    return out


def names(work_dir):
    return sorted(path.name for path in work_dir.iterdir() if path.suffix == '.pth' or path.name.endswith(('.part', 'last_checkpoint')))


def snapshot(folder):
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob('*')}


def check_end(work_dir, reference, epochs=3):
    """The folder holds what an undisturbed run leaves, to the last bit, and nothing else."""
    assert names(work_dir) == [f'best_score_epoch_{epochs}.pth', f'epoch_{epochs}.pth', 'last_checkpoint']
    found, expected = (read_checkpoint(folder / f'epoch_{epochs}.pth') for folder in (work_dir, reference))
    for key, value in expected['state_dict'].items():
        assert torch.equal(found['state_dict'][key], value)
    assert found['meta']['iter'] == expected['meta']['iter']
    assert found['message_hub']['runtime_info']['best_score'] == expected['message_hub']['runtime_info']['best_score']


def go_on(work_dir, reference):
    """Goes on with a killed run, or starts it again where it had not saved anything."""
    begun = [int(number) for number in re.findall(r'train (\d)', Path(f'{work_dir}.seen').read_text())]
    saved = max((int(path.stem[6:]) for path in work_dir.glob('epoch_?.pth')), default=0)
    assert saved >= max(begun) - 1, 'no more than the last interval is lost'
    for path in work_dir.glob('*.pth'):
        assert read_checkpoint(path)['meta']
    out = train(work_dir, 'auto' if saved else None)
    assert not saved or f'resumed epoch: {saved},' in out
    check_end(work_dir, reference)


@pytest.fixture(scope='module')
def reference(tmp_path_factory):
    """A run that nothing happens to."""
    work_dir = tmp_path_factory.mktemp('reference') / 'run'
    train(work_dir)
    check_end(work_dir, work_dir)
    return work_dir


@pytest.fixture(scope='module')
def two_epochs(reference, tmp_path_factory):
    """The same run, stopped after two of its three epochs."""
    work_dir = tmp_path_factory.mktemp('two_epochs') / 'run'
    train(work_dir, epochs=2)
    return work_dir


@pytest.fixture
def copy(two_epochs, tmp_path):
    """Copies it, as one moves a work directory; the original has to stay as it is."""
    before = snapshot(two_epochs)

    def make(name='run'):
        shutil.copytree(two_epochs, tmp_path / name)
        shutil.copy(f'{two_epochs}.seen', f'{tmp_path / name}.seen')
        return tmp_path / name

    yield make
    assert snapshot(two_epochs) == before


def test_killed_at_every_step_of_saving(reference, copy):
    """From the first file that is written to the last one that is removed; two at a time."""
    step, ended = 0, False
    while not ended:
        cases = []
        for _ in range(2):
            step += 1
            work_dir = copy(str(step))
            cases.append((work_dir, begin(work_dir, 'auto', step=step)))
        for work_dir, (process, log) in cases:
            process.join(120)
            assert process.exitcode in (0, KILLED), log.read_text()
            ended = ended or process.exitcode == 0
            if process.exitcode:
                go_on(work_dir, reference)
    assert step > 10


@pytest.mark.parametrize('file_size', [10_000, 50_000])
def test_killed_within_a_file(file_size, reference, copy):
    """The kernel ends a process at a byte of a checkpoint."""
    work_dir = copy()
    train(work_dir, 'auto', file_size=file_size, killed=True, status=-signal.SIGXFSZ)
    assert [name for name in names(work_dir) if name.endswith('.part')]
    go_on(work_dir, reference)


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize('moment', ['train 1', 'train 3', 'val 2', 'val 3'])
def test_killed_in_between(moment, workers, reference, tmp_path):
    """In an epoch or an evaluation; worker processes that outlive the killed one for a while hold nothing up."""
    train(tmp_path / 'run', die=moment, workers=workers, status=KILLED)
    go_on(tmp_path / 'run', reference)


@pytest.mark.parametrize('rank', [0, 1])
def test_one_of_two_processes_is_killed(rank, tmp_path):
    def both(resume, **settings):
        found = [begin(tmp_path / 'run', resume, launcher='pytorch', rank=rank, environment=dict(
            RANK=str(i), WORLD_SIZE='2', LOCAL_RANK=str(i), MASTER_ADDR='127.0.0.1', MASTER_PORT='29641',
            CUDA_VISIBLE_DEVICES=''), **settings) for i in range(2)]
        found[rank][0].join(120)
        if settings:
            found[1 - rank][0].kill()  # as torchrun does
        found[1 - rank][0].join(120)
        return [process.exitcode for process, _ in found], [log.read_text() for _, log in found]

    status, _ = both(None, die='val 2')
    assert status[rank] == KILLED
    status, logs = both('auto')
    assert status == [0, 0], '\n'.join(logs)
    # the first process may not have saved the second epoch yet when the other one is killed in its evaluation
    assert re.search(r'resumed epoch: [12]\b' if rank else r'resumed epoch: 2\b', logs[0])
    assert names(tmp_path / 'run')[-2:] == ['epoch_3.pth', 'last_checkpoint']
    status, logs = both(None)
    assert status == [2, 2] and '--overwrite' in logs[0] and 'error' not in logs[1]


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_resume_takes_the_newest_whole_checkpoint(reference, copy):
    """Damaged, cut, empty, missing, or without an optimizer; last_checkpoint does not matter."""
    work_dir = copy()
    shutil.copy(reference / 'epoch_3.pth', work_dir / 'epoch_3.pth')
    damage(work_dir / 'epoch_3.pth')
    content = (work_dir / 'epoch_2.pth').read_bytes()
    (work_dir / 'epoch_10.pth').write_bytes(content[:-1000])
    (work_dir / 'epoch_11.pth').write_bytes(b'')
    torch.save(dict(state_dict=read_checkpoint(work_dir / 'epoch_2.pth')['state_dict'], meta=dict(epoch=12, iter=24)),
               work_dir / 'epoch_12.pth')
    (work_dir / 'last_checkpoint').write_text('/elsewhere/epoch_13.pth')
    out = train(work_dir, 'auto')
    line = next(line for line in out.splitlines() if 'Going on from' in line)
    assert all(name in line for name in ('epoch_2.pth, the newest whole', ' epoch_3.pth ends', ' epoch_10.pth ends', ' epoch_11.pth is empty',
                                         ' epoch_12.pth is not the checkpoint of a training run', ' epoch_13.pth, the last'))
    check_end(work_dir, reference)
    assert sorted(path.name for path in (work_dir / 'former' / '1').iterdir()) == [
        'epoch_10.pth', 'epoch_11.pth', 'epoch_12.pth', 'epoch_3.pth'], 'nothing of another run is in the way, or lost'


def test_resume_without_a_whole_checkpoint(copy, tmp_path):
    work_dir = copy()
    damage(work_dir / 'epoch_2.pth')
    before = names(work_dir)
    out = train(work_dir, 'auto', status=2)
    assert ' epoch_2.pth ends too early or is damaged' in out and '--overwrite' in out and names(work_dir) == before
    out = train(tmp_path / 'new', 'auto', status=2)
    assert 'no epoch_N.pth' in out and not names(tmp_path / 'new')


def test_resume_from_a_file(reference, copy, tmp_path):
    weights = tmp_path / 'weights.pth'
    torch.save(read_checkpoint(reference / 'epoch_3.pth')['state_dict'], weights)
    assert 'init_cfg' in train(tmp_path / 'run', str(weights), status=2)
    work_dir = copy('other')
    out = train(work_dir, str(reference / 'best_score_epoch_3.pth'), status=2)
    assert 'it has no optimizer, param_schedulers' in out
    # back to an earlier step: what was saved after it is another line of the run
    shutil.copy(work_dir / 'epoch_2.pth', tmp_path / 'kept.pth')
    shutil.copy(reference / 'epoch_3.pth', work_dir)
    train(work_dir, str(tmp_path / 'kept.pth'))
    check_end(work_dir, reference)
    assert (work_dir / 'former' / '1' / 'epoch_3.pth').exists()


@pytest.mark.parametrize('path, value, word', [
    ('meta.iter', -1, 'no meta.iter'),
    ('meta.seed', 'x', 'can not go on with'),
    ('optimizer.param_groups', [], 'can not go on with'),
    ('optimizer.param_groups.0.lr', 'x', 'learning rates'),
    ('optimizer.param_groups.0.betas', 5, 'other settings of its optimizer'),
    ('optimizer.state.0', dict(step=torch.tensor(4.)), 'of layer.weight is missing'),
    ('optimizer.state.0.step', torch.tensor(float('nan')), 'step of layer.weight'),
    ('optimizer.state', {}, 'has lost what it keeps of each parameter'),
    ('optimizer.state.0.exp_avg', torch.zeros(3), "exp_avg of layer.weight"),
    ('optimizer.state.0.exp_avg_sq', torch.full((64, 64), float('inf')), "exp_avg_sq of layer.weight"),
    ('param_schedulers', [], '0 schedulers'),
    ('message_hub.log_scalars.train/loss', 5, 'train/loss'),
    ('message_hub.resumed_keys.iter', 5, 'iter in its message_hub'),
    ('message_hub.runtime_info.best_ckpt', 5, 'best_ckpt'),
    ('message_hub.runtime_info.keep_ckpt_ids', ['../../x'], 'keep_ckpt_ids'),
])
def test_resume_from_a_state_that_does_not_fit(path, value, word, two_epochs, tmp_path):
    checkpoint = torch.load(two_epochs / 'epoch_2.pth', weights_only=False)
    node, (*keys, last) = checkpoint, [int(key) if key.isdigit() else key for key in path.split('.')]
    for key in keys:
        node = node[key]
    node[last] = value
    torch.save(checkpoint, tmp_path / 'x.pth')
    out = train(tmp_path / 'run', str(tmp_path / 'x.pth'), status=2)
    assert word in out.splitlines()[-1] and 'x.pth' in out.splitlines()[-1] and not names(tmp_path / 'run')


def test_a_folder_with_a_run(reference, copy):
    work_dir = copy()
    before = names(work_dir)
    out = train(work_dir, status=2)
    assert all(flag in out for flag in ('--resume', '--work-dir', '--overwrite')) and names(work_dir) == before
    logs = {path.parent.name for path in work_dir.glob('*/vis_data')}
    train(work_dir, None, True)
    check_end(work_dir, reference)
    former = work_dir / 'former' / '1'
    assert set(before) | logs <= {path.name for path in former.iterdir()} and len(list(work_dir.glob('*/vis_data'))) == 1
    train(work_dir, None, True, epochs=1)
    assert names(work_dir) == ['best_score_epoch_1.pth', 'epoch_1.pth', 'last_checkpoint']
    check_end(work_dir / 'former' / '2', reference)


def test_a_folder_in_use(copy):
    """The second run is refused, and touches nothing; the lock of one that is killed is gone with it."""
    work_dir = copy()
    seen = Path(f'{work_dir}.seen')
    seen.unlink()
    process, log = begin(work_dir, 'auto', workers=1, stop='val 3')
    try:
        while not seen.exists() or 'val 3' not in seen.read_text():
            assert process.is_alive(), log.read_text()
            time.sleep(.02)
        before = snapshot(work_dir)
        for how in (dict(resume='auto'), dict(overwrite=True), {}):
            second, log = begin(work_dir, **how)
            second.join(120)
            out = log.read_text()
            assert second.exitcode == 2 and f'is in use by process {process.pid} on ' in out and len(out.splitlines()) == 1
        assert snapshot(work_dir) == before
    finally:
        process.kill()
        process.join()
    train(work_dir, 'auto')


def test_a_user_s_settings_stay(tmp_path):
    """All arguments of mmengine's hook do what they do there, in a folder apart too; other types of hooks are left alone."""
    train(tmp_path / 'run', epochs=4, interval=2, out_dir=str(tmp_path / 'elsewhere'), save_best=None, filename_tmpl='step-{:03d}.pth',
                max_keep_ckpts=-1, save_optimizer=False, published_keys=['state_dict'])
    folder = tmp_path / 'elsewhere' / 'run'
    published, = folder.glob('step-004-*.pth')
    assert names(folder) == sorted(['step-002.pth', 'step-004.pth', published.name]) and list(read_checkpoint(published)) == ['state_dict']
    assert 'optimizer' not in read_checkpoint(folder / 'step-004.pth')
    assert (tmp_path / 'run' / 'last_checkpoint').read_text() == str(folder / 'step-004.pth')
    out = train(tmp_path / 'run', status=2, out_dir=str(tmp_path / 'elsewhere'), filename_tmpl='step-{:03d}.pth')
    assert str(folder) in out and '--overwrite' in out
    cfg = tiny_run.config(tmp_path / 'x')
    cfg.default_hooks.checkpoint.type = 'mmdet.MyCheckpointHook'
    cfg.custom_hooks.append(dict(type='mmengine.CheckpointHook', interval=5))
    use_checkpoint_hook(cfg)
    assert cfg.default_hooks.checkpoint.type == 'mmdet.MyCheckpointHook'
    assert cfg.custom_hooks[-1] == dict(type='mmvit_backbones.CheckpointHook', interval=5)
    cfg = Config(dict(default_hooks=dict(checkpoint=None)))
    use_checkpoint_hook(cfg)
    assert cfg.default_hooks.checkpoint is None
    cfg = Config()
    use_checkpoint_hook(cfg)
    assert cfg.default_hooks.checkpoint == dict(type='mmvit_backbones.CheckpointHook', interval=1)


def test_a_file_that_can_not_be_written(reference, copy):
    """As on a full disk: one line, the former checkpoints stay, and with more room the run goes on."""
    work_dir = copy()
    before = names(work_dir)
    out = train(work_dir, 'auto', file_size=50_000, status=2)
    assert 'File too large' in out and '--resume' in out and names(work_dir) == before
    train(work_dir, 'auto')
    check_end(work_dir, reference)


@pytest.fixture
def disk(tmp_path):
    """A small disk with a work directory on it, and what mounts it otherwise."""
    folder = tmp_path / 'disk'
    (folder / 'run').mkdir(parents=True)

    def mount(options):
        command = ['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', folder]
        return subprocess.run(command, stderr=subprocess.DEVNULL).returncode

    if not shutil.which('mount') or mount('size=400k'):
        pytest.skip('no file system can be mounted here')
    (folder / 'run').mkdir()
    (tmp_path / 'run').symlink_to(folder / 'run')
    yield tmp_path / 'run', mount
    subprocess.run(['umount', folder], check=True)


def test_a_disk_that_is_full_or_read_only(disk, reference):
    work_dir, mount = disk
    train(work_dir, epochs=2)
    before = names(work_dir)
    other = work_dir / 'other'
    other.write_bytes(b'x' * (shutil.disk_usage(work_dir).free - 60_000))  # for logs, but no checkpoint
    out = train(work_dir, 'auto', status=2)
    assert 'No space left on device' in out and names(work_dir) == before
    other.write_bytes(b'x' * (other.stat().st_size + shutil.disk_usage(work_dir).free))
    out = train(work_dir, 'auto', status=2)
    assert 'No space left on device' in out and names(work_dir) == before
    other.unlink()
    assert mount('remount,ro') == 0
    before = snapshot(work_dir)
    out = train(work_dir, 'auto', status=2)
    assert 'Read-only file system' in out and snapshot(work_dir) == before
    assert mount('remount,rw') == 0
    train(work_dir, 'auto')
    check_end(work_dir, reference)
