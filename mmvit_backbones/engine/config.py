"""What the command-line tools do to a config before they hand it to OpenMMLab."""
import gc
import importlib
import inspect
import logging
import os
import re
import shutil
import subprocess
import sys
import traceback
from argparse import ArgumentError, ArgumentParser, ArgumentTypeError
from difflib import get_close_matches
from pathlib import Path
from typing import List, NoReturn, Optional, Tuple, Union

import cv2
import torch
import yaml
from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.registry import OPTIMIZERS
from mmengine.runner import Runner

from .. import __version__
from .data import data_faults, join, nodes, prefixes
from .errors import explain, near
from .machine import limit_threads

PACKAGES = 'mmdet', 'mmseg', 'mmpretrain'
"""Those whose configs can be named by ``<package>::<path>``."""
INSTALL = 'Install the OpenMMLab packages: pip install -e .[onedl] (README, section Installation)'
DATA_ADVICE = ('Put the data there, or name its folder with --data-root DIR. The layouts are in the README, section Data; '
               '`python tools/make_shapes.py` makes a small set to try things on.')
LAUNCHERS = dict(
    pytorch=('torchrun', ('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT')),
    slurm=('srun', ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST')),
    mpi=("Open MPI's mpirun", ('OMPI_COMM_WORLD_LOCAL_RANK', 'OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE')))
"""{launcher: (the program that starts its processes, what that sets in their environment)}"""
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
EVALUATORS = ('val_evaluator', 'test_evaluator')
KINDS = {
    **dict.fromkeys(('optim_wrapper', 'train_cfg', 'val_cfg', 'test_cfg', 'default_hooks', 'env_cfg', 'randomness',
                     'auto_scale_lr', *LOADERS), dict),
    'custom_hooks': (list, tuple), 'work_dir': str, 'load_from': str
}  # yapf: disable
"""{key of a config: what it holds, if it is not None}"""
_DATA = dict(
    metainfo=dict, classes=(list, tuple, str), ann_file=str, data_root=str, data_prefix=(dict, str), filter_cfg=dict,
    backend_args=dict, pipeline=(list, tuple), sampler=dict, batch_sampler=dict, img_suffix=(str, tuple),
    seg_map_suffix=str)
PART_KINDS = {
    **dict.fromkeys(('model', 'train_cfg', 'val_cfg', 'test_cfg'), {}), 'env_cfg': dict(mp_cfg=dict, dist_cfg=dict),
    'optim_wrapper': dict(optimizer=dict, paramwise_cfg=dict, clip_grad=dict),
    **dict.fromkeys((*LOADERS, *EVALUATORS), _DATA),
    **dict.fromkeys(('default_hooks', 'custom_hooks'), dict(filename_tmpl=str, out_dir=str))
}  # yapf: disable
"""{part of a config: {key anywhere below it: what that holds, if it is not None}}"""


class UsageError(Exception):
    """Something that the caller of a tool can put right; shown without a traceback."""


class Options(DictAction):
    """mmengine's action for KEY=VALUE, with argparse's message for what has another form."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        for value in values:
            if not value.partition('=')[0] or '=' not in value:
                raise ArgumentError(self, f'expected KEY=VALUE, such as train_dataloader.batch_size=4, but got {value!r}')
            try:
                super().__call__(parser, namespace, [value], option_string)
            except AssertionError as error:  # brackets that do not match
                raise ArgumentError(self, f'{value!r}: {error}') from error


def add_config_arguments(parser: ArgumentParser) -> None:
    """The arguments that every tool with a config has."""
    parser.add_argument('config', help='config file, or one of OpenMMLab, such as mmdet::ssd/ssd300_coco.py')
    add_backbone_argument(parser)
    parser.add_argument('--work-dir', help='folder for logs and checkpoints [work_dirs/<config>[-<backbone>]]')
    parser.add_argument('--data-root', help='folder of the data set, in place of the one that the config names')
    parser.add_argument(
        '--cfg-options', nargs='+', action=Options, metavar='KEY=VALUE',
        help='settings to change in the config, such as train_dataloader.batch_size=4 or key="[(a,b),(c,d)]"')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by older torch launchers')


def add_backbone_argument(parser: ArgumentParser) -> None:
    """The argument that every tool with a config has which can take another backbone."""
    parser.add_argument(
        '--backbone', metavar='NAME', help='<family>/<variant> that takes the place of the backbone in the config')


def add_trust_argument(parser: ArgumentParser) -> None:
    """The argument that every tool has which reads checkpoints."""
    parser.add_argument(
        '--trust', action='store_true', help='run the code in the file to read it; only if you trust its origin')


def image_size(text: str) -> Tuple[int, int]:
    """HEIGHTxWIDTH in pixels, as an argument of a tool."""
    match = re.fullmatch(r'(\d+)x(\d+)', text)
    if not match:
        raise ArgumentTypeError(f'expected HEIGHTxWIDTH in pixels, such as 800x1344, but got {text!r}')
    return int(match[1]), int(match[2])


def load_config(path: str,
                data_root: Optional[str] = None,
                options: Optional[dict] = None,
                backbone: Optional[str] = None,
                pretrained: bool = True) -> Config:
    """Reads a config, and puts a backbone, the data root and then the options in place.

    Args:
        path: A file; one that comes with OpenMMLab as ``<package>::<path>``, such as
            ``mmdet::retinanet/retinanet_r50_fpn_1x_coco.py``.
        data_root: As for `set_data_root`.
        options: {key: value}
        backbone: Name of `list_backbones`, for `set_backbone`.
        pretrained: Whether that one gets its weights.

    Raises:
        UsageError: There is no such file, it is no config of a model, a backbone or an option does not fit into it, a
            number in it is out of range, or a package that it builds on is not installed.
    """
    path = _find(path)
    cfg = _read(path)
    model = cfg.get('model')
    if not isinstance(model, dict) or 'type' not in model:
        raise UsageError(f'{path} is no config of a model: expected model=dict(type=...), but found '
                         f'{"no model" if model is None else f"model={model!r}"}.{near("model", cfg)}')
    if data_root is not None:
        set_data_root(cfg, data_root)
    scope = cfg.get('default_scope', 'mmengine')
    if not isinstance(scope, str):
        raise UsageError(f"{path}: default_scope must be the name of a package, such as 'mmdet', but is {scope!r}")
    for package in ('mmcv.ops', scope):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise UsageError(f'{path} needs {package}, which does not import: {error}. {INSTALL}') from error
    _check_kinds(cfg, path)
    if backbone is not None:
        from .recipe import set_backbone  # which needs this module
        set_backbone(cfg, backbone, **({} if pretrained else dict(init_cfg=None)))
    start = cfg.get('load_from')
    if options:
        _merge(cfg, options, path)
        _check_kinds(cfg, path)
    if backbone is not None and pretrained and start and cfg.get('load_from') == start:
        raise UsageError(f'{path}: load_from={start!r} is a model with the former backbone. Set another with '
                         '--cfg-options load_from=FILE, or none with load_from=None')
    _check_numbers(cfg, path)
    optimizer = (cfg.get('optim_wrapper') or {}).get('optimizer') or {}
    if not isinstance(optimizer.get('lr'), (int, float, type(None))):
        raise UsageError(f'{path}: optim_wrapper.optimizer.lr must be a number, but is {optimizer["lr"]!r:.80}')
    if isinstance(optimizer.get('type'), str) and OPTIMIZERS.get(optimizer['type']) is None:
        raise UsageError(f'{path}: optim_wrapper.optimizer ({optimizer["type"]}): there is no optimizer of that type.'
                         f'{near(optimizer["type"], OPTIMIZERS.module_dict)}')
    return cfg


def _find(path: str) -> str:
    """The file that a config's name stands for."""
    package, mark, inside = path.partition('::')
    if not mark:
        return path
    if package not in PACKAGES:
        packages = ', '.join(f'{name}::' for name in PACKAGES)
        raise UsageError(f'{path}: expected one of {packages} before the path of a config')
    try:
        folder = Path(importlib.import_module(package).__path__[0], '.mim', 'configs')
    except ImportError as error:
        raise UsageError(f'{path} needs {package}, which does not import: {error}. {INSTALL}') from error
    file = folder / inside
    if not file.is_file():
        names = {other.name: other.relative_to(folder).as_posix() for other in folder.glob('[!_]*/**/*.py')}
        close = [f'{package}::{names[name]}' for name in get_close_matches(file.name, names, 3, .6)]
        raise UsageError(f'{package} has no config {inside}.' + (f' Did you mean {" or ".join(close)}?' if close else ''))
    return str(file)


def _read(path: str) -> Config:
    if not Path(path).is_file():
        raise UsageError(f'There is no config {path}' + (': that is a folder' if Path(path).is_dir() else ''))
    if Path(path).suffix not in ('.py', '.json', '.yaml', '.yml'):
        raise UsageError(f'{path} is no config: expected a .py, .json or .yml file')
    # A config is a program of the caller's. What it may raise is listed all the same: an interrupt is none of it.
    try:
        return Config.fromfile(path)
    except ModuleNotFoundError as error:
        raise UsageError(f'{path} needs the package {error.name!r}, which is not installed. {INSTALL}') from error
    except (ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError, OSError, RuntimeError,
            SyntaxError, TypeError, ValueError, yaml.YAMLError) as error:
        places = [f'{frame.filename}, line {frame.lineno}' for frame in traceback.extract_tb(error.__traceback__)
                  if frame.name == '<module>']
        place = f' (in {places[-1]})' if places else ''
        reason = ' '.join(str(error).split())
        raise UsageError(f'{path} can not be read as a config: {type(error).__name__}: {reason}{place}') from error


def _merge(cfg: Config, options: dict, path: str) -> None:
    """Puts the options of the command line into a config."""
    settings = {*cfg.keys(), *inspect.signature(Runner).parameters, 'auto_scale_lr', 'tta_model', 'tta_pipeline'}
    for key, value in options.items():
        first = key.split('.')[0]
        if first not in settings:
            raise UsageError(f'--cfg-options {key}: {path} has no {first}.{near(first, settings)}')
        former = cfg
        for part in key.split('.'):
            if isinstance(former, (list, tuple)) and part.isdigit() and int(part) < len(former):
                former = former[int(part)]
            else:
                former = former.get(part) if isinstance(former, (dict, Config)) else None
        if isinstance(former, dict) and 'type' in former and value is not None and not isinstance(value, dict):
            raise UsageError(f'--cfg-options {key}={value}: {path} has a dict of type {former["type"]} there. Set one of '
                             f'its keys, such as {key}.type')
    try:
        cfg.merge_from_dict(options)
    except (KeyError, TypeError) as error:
        raise UsageError(f'--cfg-options {" ".join(options)} can not be put into {path}: {error.args[0]}') from error


def _check_kinds(cfg: Config, path: str) -> None:
    """Refuses parts of a config that are of another kind than the tools and OpenMMLab take apart unasked."""
    for name, node in [('', cfg), *nodes(cfg, PART_KINDS)]:
        prefix = f'{name}.' if name else ''
        for key, kind in (PART_KINDS[name.split('.')[0]] if name else KINDS).items():
            if node.get(key) is not None and not isinstance(node[key], kind):
                names = ' or '.join(each.__name__ for each in (kind if isinstance(kind, tuple) else (kind, )))
                raise UsageError(f'{path}: {prefix}{key} must be a {names}, but is {node[key]!r:.80}')
        if 'data_prefix' in node and not all(isinstance(part, str) for part in prefixes(node)):
            raise UsageError(f'{path}: {prefix}data_prefix must hold paths, but is {node["data_prefix"]!r:.80}')
        if name and not isinstance(node.get('type'), (str, type(None))) and not callable(node['type']):
            raise UsageError(f'{path}: {name}.type must name a class, but is {node["type"]!r:.80}')
        init = node.get('init_cfg') if name.startswith('model') else None
        for part in init if isinstance(init, (list, tuple)) else [init]:
            # mmdet's PVT takes one without a type
            if part and not (isinstance(part, dict) and isinstance(part.get('checkpoint', ''), str)):
                raise UsageError(f'{path}: {name}.init_cfg must be a dict with a type, such as Pretrained with the '
                                 f'path of a checkpoint, or a list of such, but is {init!r:.80}')
    backbone = (cfg.get('model') or {}).get('backbone', {})
    if not isinstance(backbone, dict):
        raise UsageError(f'{path}: model.backbone must be a dict, but is {backbone!r:.80}')
    defaults = [hook for hook in (cfg.get('default_hooks') or {}).values() if hook is not None]
    for hook in [*defaults, *(cfg.get('custom_hooks') or ())]:
        if not isinstance(hook, (dict, Hook)):
            raise UsageError(f'{path}: default_hooks and custom_hooks must hold dicts with a type, but {hook!r:.80} '
                             'is none')
    level = cfg.get('log_level', 'INFO')
    if not isinstance(level, str) or not isinstance(logging.getLevelName(level), int):
        raise UsageError(f'{path}: log_level must be the name of a level, such as INFO, but is {level!r}')
    randomness = cfg.get('randomness') or {}
    unknown = set(randomness) - set(inspect.signature(Runner.set_randomness).parameters)
    if unknown or randomness and 'seed' not in randomness:
        raise UsageError(f'{path}: randomness must be a dict with a seed, and perhaps diff_rank_seed and '
                         f'deterministic, but is {randomness!r:.80}')
    seed = randomness.get('seed')
    if seed is not None and (not isinstance(seed, int) or not 0 <= seed < 1 << 32):
        raise UsageError(f'{path}: randomness.seed must be a whole number from 0 to 2**32 - 1, but is {seed!r}')


def _check_numbers(cfg: Config, path: str) -> None:
    """Refuses numbers that would end a run later, or let it do nothing."""
    least = dict(batch_size=1, num_workers=0, max_epochs=1, max_iters=1, val_interval=1)
    for name, node in nodes(cfg, [key for key in (*LOADERS, 'train_cfg') if key in cfg]):
        for key in set(least) & set(node) if name in (*LOADERS, 'train_cfg') else ():
            value = node[key]
            if isinstance(value, bool) or not isinstance(value, int) or value < least[key]:
                raise UsageError(f'{path}: {name}.{key} must be a whole number of at least {least[key]}, but is {value!r}')
        if name in LOADERS and node.get('persistent_workers') and node.get('num_workers') == 0:
            raise UsageError(f'{path}: {name}.persistent_workers=True needs num_workers of at least 1. Set it to False')


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
    former = {node['data_root'].rstrip('/') for _, node in nodes(cfg, LOADERS) if node.get('data_root')}
    if len(former) != 1:
        raise UsageError(f'The config has {len(former)} data roots ({", ".join(sorted(former))}), so --data-root is '
                         'ambiguous. Set each with --cfg-options, such as train_dataloader.dataset.data_root=DIR')
    former = former.pop()
    inner = Path(root, Path(former).name)
    new = str(inner if inner.is_dir() else root).rstrip('/')
    for _, node in nodes(cfg, LOADERS + EVALUATORS):
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
    for name, node in nodes(cfg, names):
        root = node.get('data_root') or ''
        paths = [root] if root else []
        if node.get('ann_file'):
            paths.append(join(root, node['ann_file']))
        paths += [join(root, part) for part in prefixes(node)]
        for path in paths:
            if '://' not in path and not os.path.exists(path):
                missing.setdefault(path, f'{name} reads {path}, which does not exist (looked for at {os.path.abspath(path)})')
    return list(missing.values())


def check_data(cfg: Config, *names: str) -> None:
    """Looks at the data that a run will read before it starts; arguments as `missing_data`.

    Raises:
        UsageError: The config lacks a part, a file or folder is missing (the message names where it was looked for and
            how to set another place), or annotations, pictures and classes do not fit together.
    """
    for name in names:
        if not cfg.get(name):
            raise UsageError(f'{cfg.filename} has no {name}, which this tool needs.{near(name, cfg)}')
    for sentence in missing_data(cfg, *names):
        raise UsageError(f'{sentence}. {DATA_ADVICE}')
    for sentence in data_faults(cfg, *names):
        raise UsageError(f'{sentence}.')


def remove_pretrained(cfg: dict) -> None:
    """Takes every ``init_cfg`` that loads a checkpoint out of a config, or a model's part of one with its own, in place."""
    for _, node in nodes(cfg, None, 'config'):
        init = node.get('init_cfg')
        if isinstance(init, dict) and init.get('type') == 'Pretrained':
            node['init_cfg'] = None
        if node.get('pretrained'):
            node['pretrained'] = False if node['pretrained'] is True else None


def set_launcher(cfg: Config, launcher: str, local_rank: int) -> None:
    """Prepares a config for one or several processes.

    mmengine starts process groups on accelerators alone; without one, torchrun's processes get a gloo group here.

    Args:
        cfg: Changed in place.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
        local_rank: As older torch launchers pass it; newer ones set the environment.

    Raises:
        UsageError: The process was not started by this launcher, or the launcher needs GPUs and there is none.
    """
    if launcher != 'none':
        program, variables = LAUNCHERS[launcher]
        missing = [name for name in variables if name not in os.environ]
        if missing:
            raise UsageError(f'--launcher {launcher}: {program} sets {" and ".join(missing)}, but the environment lacks '
                             f'{"it" if len(missing) == 1 else "them"}. Start with {program}, or without --launcher')
        if launcher != 'pytorch' and get_device() == 'cpu':
            raise UsageError(f'--launcher {launcher} needs accelerators, and torch finds none here')
    os.environ.setdefault('LOCAL_RANK', str(local_rank))
    cfg.launcher = launcher
    if launcher == 'pytorch' and get_device() == 'cpu':
        import torch.distributed.nn  # noqa: F401: imported later, its default arguments would keep the group for ever
        torch.distributed.init_process_group('gloo')
        cfg.setdefault('model_wrapper_cfg', dict(type='MMDistributedDataParallel', device_ids=None))


def run_name(path: Union[str, Path], backbone: Optional[str] = None) -> str:
    """The name of a run: that of its config, and that of the backbone which it was given."""
    return '-'.join([Path(path).stem, *(backbone or '').split('/')]).rstrip('-')


def work_dir(cfg: Config, given: Optional[str], backbone: Optional[str] = None) -> str:
    """The folder of a run: as given, else as the config says, else named after the config, and after a new backbone.

    Raises:
        UsageError: It can not be written to.
    """
    folder = given or cfg.get('work_dir') or str(Path('work_dirs', run_name(cfg.filename, backbone)))
    check_folder(folder, '--work-dir')
    return folder


def check_folder(path: Union[str, Path], option: str) -> None:
    """Finds out whether files can be written into a folder, which need not exist and is not made.

    Args:
        path: The folder.
        option: Of the command line, for the message.

    Raises:
        UsageError: It is a file, or lies in one, or may not be written to.
    """
    folder = Path(path).absolute()
    while True:
        try:
            os.listdir(folder)
            break
        except FileNotFoundError as error:
            if os.path.islink(folder):
                raise UsageError(f'{option} {path}: {folder} is a link to nothing. Choose another folder') from error
            folder = folder.parent
        except OSError as error:  # a file, a name that is too long, a folder that may not be looked into
            raise UsageError(f'{option} {path}: {folder}: {error.strerror}. Choose another folder') from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f'{option} {path}: {folder} may not be written to. Choose another folder')


def check_device(device: str) -> None:
    """Makes sure that torch can put a model on a device.

    Raises:
        UsageError: It has no such device.
    """
    try:
        torch.empty(0, device=device)
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        raise UsageError(f'--device {device}: {str(error).splitlines()[0]} Use cpu, or cuda:<number> of a GPU') from error


def code_state() -> str:
    """This package's version and, in a checkout, its commit and whether it is changed: what a run was made with."""
    root = Path(__file__).parents[2]
    if not (root / '.git').exists() or not shutil.which('git'):
        return __version__
    command = ['git', 'describe', '--always', '--dirty=, changed']
    git = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return f'{__version__}, commit {git.stdout.strip()}' if git.returncode == 0 else __version__


def run(main) -> None:
    """Calls a tool's main function, with as many threads as it may have, then ends its process group.

    What the caller can put right ends with one line and exit status 2; `explain` finds it among the exceptions of others.
    """
    from ..checkpoints import CheckpointError
    limit_threads()
    try:
        main()
    except (UsageError, CheckpointError) as error:
        _fail(str(error))
    except (ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, OSError, RuntimeError,
            SyntaxError, TypeError, ValueError, cv2.error) as error:
        line = explain(error)
        if line is None:
            raise
        _fail(line)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        # gloo's threads abort the process when they let go of a tensor while Python ends. They are joined with the last
        # reference to their group, which the runner holds in cycles.
        gc.collect()
        torch.distributed.destroy_process_group()


def _fail(line: str) -> NoReturn:
    print(f'{Path(sys.argv[0]).name}: error: {line}', file=sys.stderr)
    sys.exit(2)
