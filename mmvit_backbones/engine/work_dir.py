"""Work directories: one run in each, which goes on from what it has saved there."""
import errno
import logging
import os
import re
import socket
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, repeat
from pathlib import Path
from typing import IO, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import barrier, broadcast_object_list, init_dist, is_distributed, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing

from ..checkpoints import CheckpointError, locate, read_checkpoint
from ..checkpoints.read import UntrustedError, one_line
from .config import UsageError
from .saving import checkpoint_hooks

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

AUTO = 'auto'
"""What ``resume`` of `open_work_dir` is where no file is named."""
_RUN = {
    'meta.epoch': int, 'meta.iter': int, 'state_dict': dict, 'optimizer': dict, 'message_hub.log_scalars': dict,
    'message_hub.runtime_info': dict, 'message_hub.resumed_keys': dict
}  # yapf: disable
"""{key: its type} of what mmengine saves and needs to go on."""
_NUMBER = r'\{.*?\}'
"""Its place in the template of a checkpoint's name."""


@dataclass(frozen=True)
class Start:
    """How a run starts.

    Attributes:
        checkpoint: From which it goes on; None for a new run.
        note: What the log is to say about that; may be empty.
        aside: What is in the way of the run, and is moved once it begins.
    """
    checkpoint: Optional[str]
    note: str
    aside: Tuple[Path, ...]


class StartHook(Hook):
    """Moves what is in the way of a run to ``former/<number>`` beside it, when all is built and loaded.

    A run that was stopped after its last step, perhaps within the last evaluation, is evaluated as it comes back.

    Args:
        start: How the run starts.
    """
    priority = 'VERY_HIGH'

    def __init__(self, start: Start) -> None:
        self.start = start

    def before_train(self, runner: Runner) -> None:
        self.first = runner.iter
        if self.start.note:
            runner.logger.info(self.start.note)
        if self.start.aside:
            barrier()  # all have loaded what is moved now
        if not is_main_process():
            return
        for folder in dict.fromkeys(path.parent for path in self.start.aside):
            target = next(path for path in map(folder.joinpath, repeat('former'), map(str, count(1))) if not path.exists())
            target.mkdir(parents=True)
            for path in self.start.aside:
                if path.parent == folder and path.name != runner.timestamp:  # it may have started within the same second
                    path.rename(target / path.name)
            runner.logger.info(f'What an earlier run has left in {folder} is now in {target}')

    def after_train(self, runner: Runner) -> None:
        if runner.iter == self.first and runner.val_loop is not None:
            runner.logger.info('All of the training had been done; this evaluates its end')
            runner.val_loop.run()


@contextmanager
def open_work_dir(cfg: Config, resume: Optional[str], overwrite: bool, trust: bool = False) -> Iterator[Hook]:
    """Takes a config's work directory for a run.

    Until the block ends, other processes are refused the folder; the kernel lets go of it if this one is killed. (On
    Windows, and on file systems without locks, two runs in one folder are not noticed.) Of several processes the first
    looks after the folder and decides for all of them. Part files of killed runs are removed.

    Args:
        cfg: Of the run, with ``work_dir`` and ``launcher``; its ``resume`` and ``load_from`` are set here.
        resume: Checkpoint to go on from, `AUTO` for the newest whole one in the folder, or None for a new run.
        overwrite: Whether a new run may take a folder that holds checkpoints. They and the logs beside them are moved
            to its folder ``former``, and so are, with ``resume``, the checkpoints to which the run has not come yet.
        trust: As for `read_checkpoint`.

    Yields:
        A hook for the run's runner.

    Raises:
        UsageError: The folder is in use, holds checkpoints of which neither ``resume`` nor ``overwrite`` says what
            becomes, holds no whole one to go on from, can't be written, or its disk is full.
        CheckpointError: ``resume`` is not a whole checkpoint of a training run.
    """
    if cfg.launcher != 'none' and not is_distributed():  # as the runner does it, later
        env = cfg.get('env_cfg') or {}
        set_multi_processing(**env.get('mp_cfg', {}), distributed=True)
        init_dist(cfg.launcher, **env.get('dist_cfg', {}))
    work_dir = Path(cfg.work_dir)
    if resume not in (None, AUTO):
        resume = str(locate(resume))
    lock, found = None, [None]
    with _storage_errors(work_dir):
        if is_main_process():
            try:
                with _storage_errors(work_dir):
                    lock = _lock(work_dir)
                    found = [_start(cfg, work_dir, resume, overwrite, trust)]
            except (UsageError, CheckpointError) as error:
                found = [error]
        broadcast_object_list(found)
        start = found[0]
        if isinstance(start, Exception):
            first = is_main_process()
            if is_distributed():
                torch.distributed.destroy_process_group()  # its threads may abort a process that ends with it
            if first:
                raise start
            sys.exit(2)  # the first process says why
        try:
            cfg.resume = resume is not None
            if cfg.resume:
                cfg.load_from = start.checkpoint
            yield StartHook(start)
        finally:
            if lock is not None:
                lock.close()


def _lock(work_dir: Path) -> IO:
    """Takes a folder for this process, without its children: data loaders outlive one that is killed for a while."""
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
        file = open(work_dir / '.lock', 'a+', encoding='utf-8')
    except OSError as error:
        raise UsageError(f'{work_dir} can not be written: {error.strerror}. Name another folder with --work-dir.') from error
    if fcntl is None:
        return file
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            file.seek(0)
            raise UsageError(f'{work_dir} is in use by {file.read().strip() or "another run"}. Wait until that has ended, or '
                             'name another folder with --work-dir.') from error
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):  # file systems without locks
            raise
    file.truncate(0)
    file.write(f'process {os.getpid()} on {socket.gethostname()}')
    file.flush()
    return file


def _start(cfg: Config, work_dir: Path, resume: Optional[str], overwrite: bool, trust: bool) -> Start:
    hooks = checkpoint_hooks(cfg) or [{}]
    units = ['epoch' if hook.get('by_epoch', True) else 'iter' for hook in hooks]
    templates = [hook.get('filename_tmpl') or f'{unit}_{{}}.pth' for hook, unit in zip(hooks, units)]
    for template in templates:
        if len(re.split(_NUMBER, template)) != 2:
            raise UsageError(f'{cfg.filename}: filename_tmpl of a checkpoint hook must have one place for the '
                             f'number, such as epoch_{{}}.pth, but is {template!r}')
    folders = [Path(hook['out_dir'], work_dir.absolute().name) if hook.get('out_dir') else work_dir for hook in hooks]
    for folder in {work_dir, *folders}:
        for path in folder.glob('*.part'):
            if re.search(r'(^last_checkpoint|\.pth)\.\d+\.part$', path.name):
                path.unlink()
    if resume is None:
        held = [path for folder in dict.fromkeys([work_dir, *folders])
                for template in dict.fromkeys([*templates, 'epoch_{}.pth', 'iter_{}.pth'])
                for _, path in _checkpoints(folder, template)]
        if held and not overwrite:
            raise UsageError(f'{held[-1]} is the checkpoint of an earlier run. Go on with that run (--resume), choose another '
                             'folder (--work-dir), or start anew in this one (--overwrite).')
        rest = [work_dir / 'last_checkpoint', *(path.parent for path in sorted(work_dir.glob('*/vis_data')))]
        rest += [path for path in work_dir.glob('*.py') if path.name != Path(cfg.filename or '').name]
        return Start(None, '', tuple(path for path in held + rest if path.exists()) if overwrite else ())
    # of the default hook: --resume means the run's own sequence, whatever further hooks save
    folder, template, saved = folders[0], templates[0], _checkpoints(folders[0], templates[0])
    note = ''
    if resume == AUTO:
        plain = [path for number, path in saved if path.name == template.format(number)]
        chosen, checkpoint, skipped = _newest_whole(plain, cfg, trust)
        last = work_dir / 'last_checkpoint'
        last = one_line(Path(last.read_text(encoding='utf-8', errors='replace').strip()).name) if last.is_file() else ''
        if last and not any(Path(each, last).exists() for each in [folder, *folders]):
            skipped.insert(0, f'{last}, the last that was saved, is missing')
        if chosen is None:
            why = '; '.join(skipped) or f'there is no {template.format("N")}'
            raise UsageError(f'{folder} holds no checkpoint to go on from: {why}. Name one (--resume FILE), or start anew '
                             '(without --resume' + (', with --overwrite).' if saved else ').'))
        note = f'Going on from {chosen}' + (f', the newest whole checkpoint: {"; ".join(skipped)}' if skipped else '')
    else:
        chosen = Path(resume)
        checkpoint = _read_run(chosen, cfg, trust)
    best = {Path(str(value)).name for key, value in checkpoint['message_hub']['runtime_info'].items()
            if key.startswith('best_ckpt')}
    aside = [path for number, path in saved if not path.samefile(chosen) and
             (number > checkpoint['meta'][units[0]] or path.name.startswith('best_') and path.name not in best)]
    return Start(str(chosen), note, tuple(aside))


def _checkpoints(folder: Path, template: str) -> List[Tuple[int, Path]]:
    """The checkpoints in a folder, those of the best scores and published ones too, by their numbers."""
    head, tail = re.split(_NUMBER, template)
    root, extension = os.path.splitext(tail)
    pattern = rf'(?:best_.+_)?{re.escape(head)}(\d+){re.escape(root)}(?:-[0-9a-f]{{8}})?{re.escape(extension)}'
    matches = [(re.fullmatch(pattern, path.name), path) for path in folder.glob('*')]
    return sorted((int(match[1]), path) for match, path in matches if match)


def _newest_whole(paths: Sequence[Path], cfg: Config, trust: bool) -> Tuple[Optional[Path], dict, List[str]]:
    """The last of some checkpoints that a run can go on from, what it holds, and why it is not a later one."""
    skipped = []
    for path in reversed(paths):
        try:
            return path, _read_run(path, cfg, trust), skipped
        except CheckpointError as error:
            skipped.append(str(error).replace(str(path), path.name).split('. ')[0].rstrip('.'))
    return None, {}, skipped


def _read_run(path: Path, cfg: Config, trust: bool) -> dict:
    """A checkpoint with all that a run needs to go on as if it had not been stopped.

    Raises:
        CheckpointError: It is not whole, or lacks something.
    """
    try:
        checkpoint = read_checkpoint(path, trust)
    except UntrustedError as error:
        raise UsageError(f'{path} holds more than tensors and plain data, and reading that could run code from it. If it is '
                         'of a run of yours, add --trust.') from error
    wanted = {**_RUN, 'param_schedulers': (dict, list)} if cfg.get('param_scheduler') else _RUN
    lacking = []
    for key, kind in wanted.items():
        found = checkpoint
        for part in key.split('.'):
            found = found.get(part) if isinstance(found, dict) else None
        if not isinstance(found, kind) or kind is int and not 0 <= found < 1 << 31:
            lacking.append(key)
    if lacking:
        raise CheckpointError(f'{path} is not the checkpoint of a training run, which --resume goes on with: it has no '
                              f'{", ".join(lacking)}. Weights to start from belong into load_from (of a whole model) or '
                              'init_cfg (of a backbone).')
    logs, info = (checkpoint['message_hub'][key] for key in ('log_scalars', 'runtime_info'))
    numbers = info.get('keep_ckpt_ids', [])  # names of files that will be removed are made of these
    wrong = [key for key, value in logs.items() if not isinstance(value, HistoryBuffer)]
    wrong += [key for key, value in info.items()
              if str(key).startswith(('best_ckpt', 'last_ckpt')) and not isinstance(value, (str, type(None)))
              or str(key).startswith('best_score') and not isinstance(value, (int, float, np.number, type(None)))]
    wrong += [key for key, value in checkpoint['message_hub']['resumed_keys'].items() if type(value) is not bool]
    if not isinstance(numbers, list) or any(type(number) is not int for number in numbers):
        wrong.append('keep_ckpt_ids')
    if wrong:
        raise CheckpointError(f'{path} is not as mmengine saves runs: {one_line(wrong[0])} in its message_hub is no log, or not '
                              'of its kind. Go on from another checkpoint.')
    return checkpoint


@contextmanager
def _storage_errors(work_dir: Path) -> Iterator[None]:
    """Names a full disk and a folder that can't be written as what they are, and nothing else."""
    raises, logging.raiseExceptions = logging.raiseExceptions, False  # else each line for a log prints a traceback first
    try:
        yield
    except OSError as error:
        place = Path(error.filename or work_dir).absolute()
        inside = work_dir.absolute() in (place, *place.parents)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS) or \
                inside and error.errno in (errno.EACCES, errno.EPERM):
            raise UsageError(f'{place} can not be written: {error.strerror}. The checkpoints that had been saved are there and '
                             'whole. Make room, or make it writable, and go on with --resume.') from error
        raise
    finally:
        logging.raiseExceptions = raises
