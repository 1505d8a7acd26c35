"""What the command-line tools do to a config before they hand it to OpenMMLab."""
import gc
import importlib
import os
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

import torch
from mmengine.config import Config, DictAction
from mmengine.device import get_device

from .. import __version__

INSTALL = 'Install the OpenMMLab packages: pip install -e .[onedl] (README, section Installation)'
DATA_ADVICE = ('Put the data there, or name its folder with --data-root DIR. The layouts are in the README, section Data; '
               '`python tools/make_shapes.py` makes a small set to try things on.')
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
EVALUATORS = ('val_evaluator', 'test_evaluator')


class UsageError(Exception):
    """Something that the caller of a tool can put right; shown without a traceback."""


def add_config_arguments(parser: ArgumentParser) -> None:
    """The arguments that every tool with a config has."""
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder for logs and checkpoints [work_dirs/<name of the config>]')
    parser.add_argument('--data-root', help='folder of the data set, in place of the one that the config names')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
        help='settings to change in the config, such as train_dataloader.batch_size=4 or key="[(a,b),(c,d)]"')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by older torch launchers')


def load_config(path: str, data_root: Optional[str] = None, options: Optional[dict] = None) -> Config:
    """Reads a config, with the data root and then the options in place.

    Raises:
        UsageError: There is no such file, or a package that it builds on is not installed.
    """
    if not Path(path).is_file():
        raise UsageError(f'There is no config {path}')
    try:
        cfg = Config.fromfile(path)
    except ModuleNotFoundError as error:
        raise UsageError(f'{path} needs the package {error.name!r}, which is not installed. {INSTALL}') from error
    if data_root is not None:
        set_data_root(cfg, data_root)
    if options:
        cfg.merge_from_dict(options)
    scope = cfg.get('default_scope', 'mmengine')
    for package in ('mmcv.ops', scope):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise UsageError(f'{path} needs {package}, which does not import: {error}. {INSTALL}') from error
    return cfg


def set_data_root(cfg: Config, root: str) -> None:
    """Moves every data set and evaluator of a config to another folder.

    Args:
        cfg: Changed in place.
        root: The folder that holds what the config's own data root holds, or its parent folder.

    Raises:
        UsageError: The folder does not exist, or the config's data sets have several roots.
    """
    if not Path(root).is_dir():
        raise UsageError(f'There is no data root {root}')
    former = {node['data_root'].rstrip('/') for _, node in _nodes(cfg, LOADERS) if node.get('data_root')}
    if len(former) != 1:
        raise UsageError(f'The config has {len(former)} data roots ({", ".join(sorted(former))}), so --data-root is '
                         'ambiguous. Set each with --cfg-options, such as train_dataloader.dataset.data_root=DIR')
    former = former.pop()
    inner = Path(root, Path(former).name)
    new = str(inner if inner.is_dir() else root).rstrip('/')
    for _, node in _nodes(cfg, LOADERS + EVALUATORS):
        for key, value in node.items():
            if isinstance(value, str) and (value.rstrip('/') == former or value.startswith(former + '/')):
                node[key] = new + value[len(former):]


def missing_data(cfg: Config, *names: str) -> List[str]:
    """What a run will read and will not find: a sentence for each file or folder.

    Args:
        cfg: The config.
        names: Its parts that the run uses, such as 'train_dataloader' and 'val_evaluator'.
    """
    missing = {}
    for name, node in _nodes(cfg, names):
        root = node.get('data_root') or ''
        paths = [root] if root else []
        if node.get('ann_file'):
            paths.append(_join(root, node['ann_file']))
        prefix = node.get('data_prefix') or {}
        paths += [_join(root, part) for part in prefix.values() if part]
        for path in paths:
            if '://' not in path and not os.path.exists(path):
                missing.setdefault(path, f'{name} reads {path}, which does not exist (looked for at {os.path.abspath(path)})')
    return list(missing.values())


def check_data(cfg: Config, *names: str) -> None:
    """Looks for the files and folders that a run will read; arguments as `missing_data`.

    Raises:
        UsageError: One is missing; the message names where it was looked for and how to set another place.
    """
    for sentence in missing_data(cfg, *names):
        raise UsageError(f'{sentence}. {DATA_ADVICE}')


def remove_pretrained(cfg: dict) -> None:
    """Takes every ``init_cfg`` that loads a checkpoint out of a model's config, in place."""
    for _, node in _nodes(cfg, list(cfg)):
        init = node.get('init_cfg')
        if isinstance(init, dict) and init.get('type') == 'Pretrained':
            node['init_cfg'] = None
        if node.get('pretrained'):
            node['pretrained'] = None


def set_launcher(cfg: Config, launcher: str, local_rank: int) -> None:
    """Prepares a config for one or several processes.

    mmengine starts process groups on accelerators alone; without one, torchrun's processes get a gloo group here.

    Args:
        cfg: Changed in place.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
        local_rank: As older torch launchers pass it; newer ones set the environment.
    """
    os.environ.setdefault('LOCAL_RANK', str(local_rank))
    cfg.launcher = launcher
    if launcher == 'pytorch' and get_device() == 'cpu':
        import torch.distributed.nn  # noqa: F401: imported later, its default arguments would keep the group for ever
        torch.distributed.init_process_group('gloo')
        cfg.setdefault('model_wrapper_cfg', dict(type='MMDistributedDataParallel', device_ids=None))


def work_dir(cfg: Config, path: str, given: Optional[str]) -> str:
    """The folder of a run: as given, else as the config says, else named after the config."""
    return given or cfg.get('work_dir') or str(Path('work_dirs', Path(path).stem))


def code_state() -> str:
    """This package's version and, in a checkout, its commit and whether it is changed: what a run was made with."""
    root = Path(__file__).parents[2]
    if not (root / '.git').exists() or not shutil.which('git'):
        return __version__
    command = ['git', 'describe', '--always', '--dirty=, changed']
    git = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return f'{__version__}, commit {git.stdout.strip()}' if git.returncode == 0 else __version__


def run(main) -> None:
    """Calls a tool's main function, then ends its process group.

    What the caller can put right ends with one line and exit status 2.
    """
    from ..checkpoints import CheckpointError
    try:
        main()
    except (UsageError, CheckpointError) as error:
        print(f'{Path(sys.argv[0]).name}: error: {error}', file=sys.stderr)
        sys.exit(2)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        # gloo's threads abort the process when they let go of a tensor while Python ends. They are joined with the last
        # reference to their group, which the runner holds in cycles.
        gc.collect()
        torch.distributed.destroy_process_group()


def _join(root: str, path: str) -> str:
    return path if os.path.isabs(path) or '://' in path or path.startswith(root) else os.path.join(root, path)


def _nodes(tree, names=None, path: str = '') -> Iterator[Tuple[str, dict]]:
    """Every dict below the named parts of a config, with its path."""
    if isinstance(tree, (dict, Config)):
        if path:
            yield path, tree
        for key in list(tree.keys()) if names is None else [name for name in names if tree.get(name) is not None]:
            yield from _nodes(tree[key], None, f'{path}.{key}' if path else key)
    elif isinstance(tree, (list, tuple)):
        for item in tree:
            yield from _nodes(item, None, path)
