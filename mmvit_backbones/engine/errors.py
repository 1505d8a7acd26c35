"""Exceptions of OpenMMLab and of the system whose cause lies with the caller of a tool, and what to tell him."""
import dis
import errno
import inspect
import io
import os
import re
import traceback
from difflib import get_close_matches
from pathlib import Path
from types import FrameType
from typing import Iterable, Iterator, List, Optional

from mmengine.config import Config
from mmengine.registry import Registry, build_from_cfg
from mmengine.runner import BaseLoop, Runner
from torch.utils.data import dataloader

from .data import nodes, picture_fault

LONGEST = 1500
"""Letters of a line; OpenMMLab's messages may hold whole configs."""
_CHECKING = ('mmvit_backbones.backbones.', 'mmvit_backbones.checkpoints.load', 'mmvit_backbones.engine.',
             'mmengine.runner.runner', 'mmengine.optim.', 'mmdet.engine.hooks.')
"""Modules that check what a config says outside of constructors."""
_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST,
            errno.ENAMETOOLONG, errno.EFBIG)


def explain(error: Exception) -> Optional[str]:
    """One line on what the caller can put right, or None for an error of the program's own.

    Where it was raised tells them apart: by a check (a statement ``raise`` or ``assert``) on what is built from a config,
    while a file of the data set was decoded or a run took up what a checkpoint holds of it, or by the system, which could
    not open or write a file or had no memory left.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    line = _memory(error)
    for look in (_data, _config, _run, _system):
        line = line or look(error, frames)
    line = line and ' '.join(line.split())
    return f'{line[:LONGEST]}...' if line and len(line) > LONGEST else line


def near(name: str, known: Iterable[str]) -> str:
    """A question to end a message with: which of the known names was meant."""
    ends = {}
    for full in known:
        ends.setdefault(full.rsplit('.')[-1], full)
    matches = [ends[end] for end in get_close_matches(name.rsplit('.')[-1], ends, 3, .6)]
    return f' Did you mean {" or ".join(matches)}?' if matches else ''


def _config(error: Exception, frames: List[FrameType]) -> Optional[str]:
    """For what a config says and the classes that are built from it refuse."""
    if not isinstance(error, (AssertionError, KeyError, TypeError, ValueError)):
        return None
    builds = [frame for frame in frames if frame.f_code is build_from_cfg.__code__]
    cfg = next((value for frame in frames for value in frame.f_locals.values() if isinstance(value, Config)), None)
    where, text = _place(cfg, builds), str(error.args[0] if error.args else error)
    if builds and isinstance(error, KeyError) and frames[-1] is builds[-1]:
        name, registry = frames[-1].f_locals['cfg'].get('type'), frames[-1].f_locals['registry']
        if name is None:
            return f'{where} has no type. Its type names the class that is built from it.'
        return f'{where}: there is no {registry.name} of that type.{near(name, _registered(registry))}'
    unknown = re.search(r"unexpected keyword argument '(\w+)'", text)
    if builds and isinstance(error, TypeError) and unknown and unknown[1] in builds[-1].f_locals.get('args', ()) \
            and not _deliberate(error):  # a check of the class's own says more
        return f'{where} takes no {unknown[1]}.{near(unknown[1], _parameters(builds[-1].f_locals["obj_cls"]))}'
    if builds and isinstance(error, TypeError) and frames[-1] is builds[-1]:
        return f'{where} can not be built: {text}'
    if _deliberate(error) and (builds or frames[-1].f_globals.get('__name__', '').startswith(_CHECKING)):
        return f'{where}: {text or "its values do not fit together"}' if where else text
    return None


def _deliberate(error: Exception) -> bool:
    """Whether a statement of Python's, ``raise`` or ``assert``, has raised it."""
    last = error.__traceback__
    while last.tb_next is not None:
        last = last.tb_next
    return dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]] == 'RAISE_VARARGS'


def _place(cfg: Optional[Config], builds: List[FrameType]) -> str:
    """File, key and type of what was being built: ``x.py: model.neck (FPN)``."""
    tree, path = cfg, []
    for build in builds:
        wanted = build.f_locals['cfg']
        if not isinstance(wanted, dict):
            break
        for start, before in ((tree, path), (cfg, [])):  # a dataset is built while its loop is, which does not hold it
            same = [(sum(node.get(key) == value for key, value in wanted.items()), name, node)
                    for name, node in nodes(start, None, '') if node.get('type') == wanted.get('type')]
            if same:
                _, name, tree = max(same, key=lambda found: found[0])
                path = [*before, name]
                break
    key = '.'.join(path)
    kind = builds[-1].f_locals['cfg'].get('type') if builds and isinstance(builds[-1].f_locals['cfg'], dict) else None
    if kind is not None:
        key += f' ({getattr(kind, "__name__", kind)})'
    return ': '.join(part for part in (cfg.filename if cfg is not None else '', key.strip()) if part)


def _registered(registry: Registry) -> Iterator[str]:
    """The names in a registry and its relatives, those of other scopes with their scope."""
    yield from registry.module_dict
    top = registry
    while top.parent is not None:
        top = top.parent
    for relative in (top, *top.children.values()):
        for name in relative.module_dict:
            yield f'{relative.scope}.{name}'


def _parameters(cls: type) -> Iterator[str]:
    for call in [vars(base).get('__init__') for base in inspect.getmro(cls)] if inspect.isclass(cls) else [cls]:
        if inspect.isfunction(call):
            yield from (name for name in inspect.signature(call).parameters if name not in ('self', 'args', 'kwargs'))


def _data(error: Exception, frames: List[FrameType]) -> Optional[str]:
    """For a file of the data set that can't be decoded, in this process or in a worker."""
    loop = next((frame.f_locals['self'] for frame in frames if isinstance(frame.f_locals.get('self'), BaseLoop)), None)
    if loop is None or not any(frame.f_globals.get('__name__') == dataloader.__name__ for frame in frames):
        return None
    report = f'{"".join(traceback.format_tb(error.__traceback__))}\n{error}'  # a worker's traceback is in its message
    if not re.search(r'transforms.loading\.py', report):
        return None
    dataset = loop.dataloader.dataset
    if not hasattr(dataset, 'get_data_info'):
        return None
    paths = [info[key] for info in map(dataset.get_data_info, range(len(dataset))) for key in ('img_path', 'seg_map_path')
             if info.get(key)]
    suspects = [path for path in paths if path in report] or [path for path in paths if not _has_bytes(path)] or \
        [path for path in paths if path.endswith('.png')]
    if re.search(r'\bPIL\b', report):  # which does not name what it was given
        suspects += paths
    for path in suspects:
        fault = picture_fault(path)
        if fault:
            return f'{path} {fault}. Get or write it again, or take it out of the annotations.'
    return None


def _run(error: Exception, frames: List[FrameType]) -> Optional[str]:
    """For an optimizer, schedulers or logs in a checkpoint that are not those of the config."""
    runner = next((frame.f_locals['self'] for frame in frames if frame.f_code is Runner.resume.__code__), None)
    if runner is None or any(frame.f_code is Runner.call_hook.__code__ for frame in frames):
        return None
    return (f'{runner._load_from} holds a run that the config can not go on with ({type(error).__name__}: {error}). Go on with '
            'the config that it was saved with, of which its work directory holds a copy.')


def _memory(error: Exception) -> Optional[str]:
    """For what does not fit into the memory of a machine or of its GPU."""
    if isinstance(error, MemoryError) or isinstance(error, RuntimeError) and re.search(
            'out of memory|not enough memory|alloc.* memory|Storage size calculation overflowed', str(error)):
        reason = (str(error) or 'out of memory').splitlines()[0]
        return f'{reason.rstrip(".")}. Choose a smaller batch or image size, or another device.'
    return None


def _has_bytes(path: str) -> bool:
    return '://' in path or os.path.isfile(path) and os.path.getsize(path) > 0


def _system(error: Exception, frames: List[FrameType]) -> Optional[str]:
    """For files that the system does not let us write, or open."""
    if isinstance(error, OSError) and error.errno in _WRITING:
        reason = error.strerror
    elif isinstance(error, RuntimeError) and re.search('PytorchStreamWriter|iostream error', str(error)):
        reason = f'could not be written ({str(error).splitlines()[0]})'
    else:
        return None
    path = getattr(error, 'filename', None) or next(_written(frames), None)
    advice = 'Free some space' if getattr(error, 'errno', None) in (errno.ENOSPC, errno.EDQUOT, None) else 'Choose another place'
    return f'{path or "A file"}: {reason}. {advice}.'


def _written(frames: List[FrameType]) -> Iterator[str]:
    """The paths of the files that were open, innermost first."""
    for frame in reversed(frames):
        for value in frame.f_locals.values():
            if isinstance(value, io.IOBase) and isinstance(getattr(value, 'name', None), str):
                yield value.name
        if frame.f_globals.get('__name__') == 'torch.serialization' and isinstance(frame.f_locals.get('f'), (str, Path)):
            yield str(frame.f_locals['f'])
