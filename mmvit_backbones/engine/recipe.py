"""One recipe, any backbone: what else changes in a config when its backbone does."""
import copy
import importlib
import inspect
import re
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from .. import list_backbones
from ..backbones import Backbone
from .config import UsageError, remove_pretrained
from .data import nodes
from .errors import near
from .imagenet import DROP_PATH, set_statistics, use_preprocessing

SIZE = 128
"""Height and width of the image on which a backbone of another package shows its levels."""
BATCH = 5
"""How many images' features a classifier's head is shown: no two, which some unpack."""
CLASSIFIER_HEADS = {'LinearClsHead', 'DeiTClsHead', 'TokenLabelingHead'}
"""Heads that give way to that of a backbone's own classifier."""
FOREIGN_DECAY = 'LearningRateDecayOptimizerConstructor', 'LayerDecayOptimizerConstructor'
"""Optimizer constructors of mmdet and mmseg that know the layers of a few backbones by name."""


class Level(NamedTuple):
    """A map that a backbone gives."""
    channels: int
    stride: int


class Reader(NamedTuple):
    """What reads maps of a backbone.

    Attributes:
        path: Of the neck or head, such as 'model.neck'.
        node: Its settings.
        key: Of its settings, which holds numbers of channels: one for each map that it reads, or one for all.
        positions: Of these maps, among those of the backbone.
    """
    path: str
    node: dict
    key: str
    positions: Tuple[int, ...]


def find_backbone(name: str) -> dict:
    """What `list_backbones` has under a name.

    Raises:
        UsageError: It has none.
    """
    known = list_backbones()
    if name not in known:
        raise UsageError(f'There is no backbone {name!r}: expected <family>/<variant>, as '
                         f'mmvit_backbones.list_backbones() names them.{near(name, known)}')
    return known[name]


def set_backbone(cfg: Config, name: str, **options) -> Config:
    """Puts a backbone of `list_backbones` into a config, in place of the one that it has.

    What belongs to a backbone comes with it: its weights; the drop path of its own published configs of the same
    method, or else that of the former backbone; mean and std of the images. It gives the levels that neck and heads
    read, found by their strides; the channels and positions that these name follow, and so do settings of the optimizer
    that name parameters of the backbone. What belonged to the former backbone goes, such as frozen stages and batch
    norms in eval mode. All else is the recipe and stays: data, heads, optimizer, schedule.

    A classifier of mmpretrain gets pooled features in place of its neck, and weights only if the former one has some:
    otherwise its recipe is that of a pre-training, and images come to it as to the published weights
    (`use_preprocessing`).

    Args:
        cfg: Of mmdet, mmseg or mmpretrain; changed in place, or not at all.
        name: <family>/<variant>.
        options: Arguments of the backbone, such as ``with_cp=True``, ``drop_path_rate=0.2``, ``arch=dict(...)``, or
            ``init_cfg=None`` for random weights.

    Returns:
        ``cfg``.

    Raises:
        UsageError: There is no such backbone, the config has none or several, no weights are published, or something in
            the config can't be matched. The message names its key.
    """
    chosen = find_backbone(name)
    if 'out_indices' in options:
        raise UsageError('out_indices follow from what neck and heads read. Leave them out')
    scope = cfg.get('default_scope') or 'mmengine'
    if scope != 'mmengine':
        importlib.import_module(f'{scope}.models')
    model = copy.deepcopy(cfg.model)
    path, owner = _owner(model)
    classifies, starts = _kind(owner) == 'ImageClassifier', _is_pretrained(owner)
    whole = classifies and bool(_loaded(owner)) and 'init_cfg' not in options  # weights of the head too
    if scope == 'mmpretrain' and not classifies:
        raise UsageError(f'{path}.type is {_kind(owner)}: of the models of mmpretrain, an ImageClassifier takes any '
                         'backbone')
    settings = dict(chosen, **options)
    if 'drop_path_rate' not in options:
        settings['drop_path_rate'] = _drop_path_rate(cfg, owner, name, scope)
    if 'init_cfg' not in options and (not classifies or starts):
        if name not in list_backbones(pretrained=True):
            raise UsageError(f'No weights of {name} are published. Start from random ones with --no-pretrained (in '
                             'Python: init_cfg=None), or train some on ImageNet first: tools/train.py '
                             f'configs/imagenet.py --backbone {name}')
        settings['init_cfg'] = dict(type='Pretrained', checkpoint=f'mmvit://{name}')
    changed = (_set_pooled if classifies else _set_levels)(owner, path, settings, name, scope)
    weights = settings.pop('init_cfg', None) if whole else None
    owner['backbone'] = settings
    _clear_pretrained(model, [*changed, f'{path}.backbone'], settings.get('init_cfg') is not None)
    if weights:
        owner['init_cfg'] = weights
    optim_wrapper = _optim_wrapper(cfg, _build(settings), name)
    cfg.model = model
    if optim_wrapper is not None:
        cfg.optim_wrapper = optim_wrapper
    if settings.get('in_channels', 3) != 3:
        return cfg
    if classifies:
        use_preprocessing(cfg, name, keep_size=starts)
    else:
        set_statistics(cfg, name, 'bgr_to_rgb')
    return cfg


def _kind(node: dict) -> str:
    """The name of a type, which may be a class, without its scope."""
    return getattr(node.get('type'), '__name__', str(node.get('type'))).rsplit('.')[-1]


def _owner(model: dict) -> Tuple[str, dict]:
    """The part of a model that holds its backbone, and its path."""
    found = [(path, key, node) for path, node in nodes(model, None, 'model') for key, value in node.items()
             if key.endswith('backbone') and isinstance(value, dict) and 'type' in value]
    if not found:
        raise UsageError(f'model ({_kind(model)}) has no backbone to replace: expected model.backbone=dict(type=...)')
    if len(found) > 1:
        paths = ', '.join(f'{path}.{key}' for path, key, _ in found)
        raise UsageError(f'model ({_kind(model)}) has several backbones, {paths}. What uses them together can not be '
                         'matched')
    path, key, owner = found[0]
    if key != 'backbone':
        raise UsageError(f'{path}.{key} is tied to what {path} is, and can not be matched')
    if owner.get('teacher_config'):
        raise UsageError(f'{path}.teacher_config: {_kind(owner)} learns from a teacher with a backbone of its own, '
                         'which can not be matched. Choose a config without a teacher')
    return path, owner


def _build(settings: dict) -> Backbone:
    """A backbone of this package, without values: it says what it gives."""
    with torch.device('meta'):
        return MODELS.build({**settings, 'init_cfg': None})


def _class(settings: dict, scope: str) -> Optional[type]:
    """What a backbone's type stands for."""
    if inspect.isclass(settings['type']):
        return settings['type']
    with MODELS.switch_scope_and_registry(scope) as registry:
        return registry.get(settings['type'])


# What belongs to the backbone.


def _is_pretrained(owner: dict) -> bool:
    """Whether a model or its backbone starts from weights."""
    return any(node.get('pretrained') or _loaded(node) for node in (owner, owner['backbone']))


def _loaded(node: dict) -> List[str]:
    """The checkpoints that the ``init_cfg`` of a module loads."""
    return [str(init.get('checkpoint')) for init in _list(node.get('init_cfg'))
            if isinstance(init, dict) and init.get('type') == 'Pretrained']


def _drop_path_rate(cfg: Config, owner: dict, name: str, scope: str) -> float:
    """That of the backbone's published configs for a method or of its classifier, or else that of the former backbone.

    Of several configs, one with these weights and as long a training is preferred.
    """
    if _kind(owner) == 'ImageClassifier' and name in DROP_PATH:
        return DROP_PATH[name]
    from ..results import load_results, training_length  # which need the modules beside this one
    from ..results.settings import task_and_method
    family, variant = name.split('/')
    recipe = (family, variant, *task_and_method(owner))
    rows = [row for row in load_results() if (row.family, row.arch, row.task, row.method) == recipe]
    configs = dict.fromkeys(row.config for row in rows if row.config)
    published = [Config.fromfile(_configs() / f'{config}.py') for config in configs]
    if published:
        loop = cfg.get('train_cfg') or {}
        length = [loop.get(key) for key in ('max_epochs', 'max_iters')]

        def fit(its: Config) -> Tuple[bool, bool]:
            weights = _loaded(its.model.backbone)
            return weights in ([], [f'mmvit://{name}']), training_length(its, its.filename)[0] in length

        return max(published, key=fit).model.backbone.get('drop_path_rate', 0.)
    former = owner['backbone']
    parameter = inspect.signature(_class(former, scope)).parameters.get('drop_path_rate')
    return former.get('drop_path_rate', 0. if parameter is None else parameter.default)


def _configs() -> Path:
    """The folder of this package's configs, in an installation or in a checkout."""
    package = Path(__file__).parents[1]
    return next(folder for folder in (package / '.mim' / 'configs', package.parent / 'configs') if folder.is_dir())


def _clear_pretrained(model: dict, changed: Sequence[str], used: bool) -> None:
    """Takes weights of the former backbone, and of what is built on it, out of a model.

    Args:
        model: The settings.
        changed: Paths in it.
        used: Whether the new backbone gets weights.

    Raises:
        UsageError: It does, and further weights would be loaded over them.
    """
    for path, node in nodes(model, None, 'model'):
        if path.endswith('.backbone') or not any(f'{place}.'.startswith(f'{path}.') for place in changed):
            continue
        if node.get('pretrained'):
            node['pretrained'] = None
        if _loaded(node):
            if used:
                raise UsageError(f'{path}.init_cfg loads {_loaded(node)[0]}, which belongs to the former backbone. '
                                 'Take it out of the config')
            node['init_cfg'] = None


def _optim_wrapper(cfg: Config, backbone: Backbone, name: str) -> Optional[dict]:
    """The optimizer's settings with the names of the new backbone's parameters; None where nothing is named.

    What a setting says of all norms of a family's blocks, one by one, it says of the new ones.
    """
    wrapper = copy.deepcopy(cfg.get('optim_wrapper'))
    if not wrapper:
        return None
    if _kind(dict(type=wrapper.get('constructor'))) in FOREIGN_DECAY:
        raise UsageError(f'optim_wrapper.constructor={wrapper["constructor"]!r} knows no layers of {name}. Write '
                         "constructor='mmvit_backbones.LayerDecayOptimWrapperConstructor' and "
                         'paramwise_cfg=dict(layer_decay=...)')
    keys = (wrapper.get('paramwise_cfg') or {}).get('custom_keys') or {}
    inner_names = {key: key.partition('backbone.')[2] for key in keys if 'backbone.' in key}
    patterns = {key: re.sub(r'\d+', r'\\d+', re.escape(inner)) for key, inner in inner_names.items()}
    if not patterns:
        return None
    found = {key: setting for key, setting in keys.items() if key not in patterns}
    for key, pattern in patterns.items():
        inner = inner_names[key]
        if any(keys[other] != keys[key] for other in patterns if patterns[other] == pattern):
            pattern = re.escape(inner)  # each number has a setting of its own
        matches = [re.match(pattern, parameter) for parameter, _ in backbone.named_parameters()]
        if not any(matches) and 'norm' not in inner:
            raise UsageError(f'optim_wrapper.paramwise_cfg.custom_keys.{key}: {name} has no parameters {inner}')
        found.update({key.removesuffix(inner) + match[0]: keys[key] for match in matches if match})
    wrapper['paramwise_cfg']['custom_keys'] = found
    return wrapper


# What reads the backbone.


def _set_pooled(owner: dict, path: str, settings: dict, name: str, scope: str) -> List[str]:
    """Fits an image classifier; returns the paths of what it changes."""
    neck, head = owner.pop('neck', None), owner.get('head') or {}
    if neck and _kind(neck) != 'GlobalAveragePooling':
        raise UsageError(f'{path}.neck ({_kind(neck)}) can not be matched: {name} pools by itself, so that only a '
                         'GlobalAveragePooling can be left out')
    settings['out_type'] = 'pooled'
    backbone = _build(settings)
    features = backbone.out_channels[-1]
    if not isinstance(head.get('in_channels'), int):
        raise UsageError(f'{path}.head ({_kind(head)}) has no in_channels, so it can not be matched. Use a '
                         'LinearClsHead')
    head['in_channels'] = features
    own = backbone.head_type.rsplit('.')[-1]
    if _kind(head) in CLASSIFIER_HEADS and _kind(head) != own:
        head['type'] = backbone.head_type
    if _kind(head) == own != 'LinearClsHead':  # it reads several features, and belongs to them
        return [f'{path}.head']
    try:
        with DefaultScope.overwrite_default_scope(scope), torch.device('meta'):
            scores = MODELS.build(copy.deepcopy(head))((torch.empty(BATCH, features), ))
        if scores.shape != (BATCH, head.get('num_classes')):
            raise ValueError(f'its scores are {tuple(scores.shape)}')
    except (AssertionError, AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise UsageError(f'{path}.head ({_kind(head)}) does not take features (B, {features}), which is what {name} '
                         'gives. Use a LinearClsHead') from error
    return [f'{path}.head']


def _set_levels(owner: dict, path: str, settings: dict, name: str, scope: str) -> List[str]:
    """Fits a detector or segmentor, and the ``out_indices`` in ``settings``; returns the paths of what it changes.

    Levels that nothing reads are not given: their norms would wait for a gradient.
    """
    former = owner['backbone']
    if set(former.get('dilations') or ()) - {1}:
        raise UsageError(f'{path}.backbone.dilations={tuple(former["dilations"])} keep deep maps large, which can not '
                         f'be matched: the maps of {name} have strides of 4, 8, 16 and 32, the deeper the smaller. Choose '
                         'a config without them, such as one with FPN or UPerHead')
    levels, backbone = _levels(former, path, scope), _build(settings)
    strides = [level.stride for level in levels]
    if not set(strides) <= set(backbone.out_strides) and 'pyramid' in set(backbone.options) - set(settings):
        settings['pyramid'] = 'taps'  # maps of a column's own may have others
        backbone = _build(settings)
    given = list(backbone.out_strides)
    readers = list(_readers(owner, path, levels, scope))
    if not readers:
        raise UsageError(f'{path} ({_kind(owner)}): neither a neck nor a head says by in_channels what it reads of the '
                         'backbone, so it can not be matched')
    channels = [level.channels for level in levels]
    read = sorted({position for reader in readers for position in reader.positions})
    place = {}
    for reader in readers:
        for position in reader.positions:
            stride = strides[position]
            if strides != given and (strides.count(stride), given.count(stride)) != (1, 1):
                raise UsageError(f'{reader.path}.{reader.key} can not be matched: it reads a map of stride {stride} of a '
                                 f'backbone with {strides}, but {name} has {given}')
            place[position] = position if strides == given else given.index(stride)
    if [place[position] for position in read] != sorted(place.values()):
        raise UsageError(f'{path}.backbone ({_kind(former)}) gives maps of strides {strides}, in another order than '
                         f'{name}')
    settings['out_indices'] = tuple(backbone.out_indices[place[position]] for position in read)
    fitted = dict(zip(read, _build(settings).out_channels))
    _check_left(owner, path, readers, channels, list(fitted.values()))

    for reader in readers:
        former_value, values = reader.node[reader.key], [fitted[position] for position in reader.positions]
        if isinstance(former_value, int) and len(set(values)) > 1:
            raise UsageError(f'{reader.path}.{reader.key} is one number, but the maps that {_kind(reader.node)} reads '
                             f'have {values} channels. Put a neck between, such as FPN')
        reader.node[reader.key] = values[0] if isinstance(former_value, int) else type(former_value)(values)
    if len(read) < len(levels):
        for node in {id(reader.node): reader.node for reader in readers}.values():
            _set_positions(node, read, len(levels))
    return [reader.path for reader in readers]


def _levels(former: dict, path: str, scope: str) -> List[Level]:
    """What a backbone gives; one of another package is built and shown an image."""
    settings = copy.deepcopy(former)
    remove_pretrained(settings)
    kind = _class(former, scope)
    if inspect.isclass(kind) and issubclass(kind, Backbone):
        backbone = _build(settings)
        return [Level(*level) for level in zip(backbone.out_channels, backbone.out_strides)]
    size = former.get('img_size') or SIZE
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    with DefaultScope.overwrite_default_scope(scope), torch.random.fork_rng(devices=[]):
        backbone = MODELS.build(settings)
        backbone.train()  # in which mode some give more maps
        try:
            with torch.no_grad():
                maps = backbone(torch.zeros(2, former.get('in_channels', 3), height, width))
            return [Level(item.shape[1], height // item.shape[2]) for item in _list(maps)]
        except (AssertionError, AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
            raise UsageError(f'{path}.backbone ({_kind(former)}) gives no maps for an image of {height}x{width}, so that '
                             f'its levels are not known: {" ".join(str(error).split())}') from error


def _readers(owner: dict, path: str, levels: Sequence[Level], scope: str) -> Iterator[Reader]:
    """What reads the backbone's maps: the neck, or the first of several, or else the heads."""
    neck = owner.get('neck')
    if neck:
        first, place = (neck, f'{path}.neck') if isinstance(neck, dict) else (neck[0], f'{path}.neck.0')
        if 'in_channels' in first:
            yield _reader(place, first, 'in_channels', levels, None)
        return
    if owner.get('roi_head'):
        raise UsageError(f'{path}.roi_head can not be matched: it reads the backbone itself. Choose a config with a '
                         'neck, such as FPN')
    channels = [level.channels for level in levels]
    for name in [key for key in owner if key.endswith('_head')]:
        for place, node in nodes(owner[name], None, f'{path}.{name}'):
            for key in ('in_channels', 'c1_in_channels'):
                outermost = place.rstrip('.0123456789') == f'{path}.{name}'
                if key in node and (outermost or 'in_index' in node or _list(node[key]) == channels):
                    yield _reader(place, node, key, levels, -1 if scope == 'mmseg' else None)


def _reader(path: str, node: dict, key: str, levels: Sequence[Level], index: Optional[int]) -> Reader:
    """Finds out which maps the channels of a key are those of.

    Args:
        path, node, key: As in `Reader`.
        levels: The backbone's.
        index: Which of them is read where ``node`` does not say so; None for all.

    Raises:
        UsageError: They are those of none.
    """
    channels, every = [level.channels for level in levels], tuple(range(len(levels)))
    numbers = _list(node[key])
    index = 0 if key == 'c1_in_channels' else node.get('in_index', index)
    start, end = node.get('start_level', 0), node.get('end_level', -1)
    if isinstance(index, int) and isinstance(node[key], int):
        choices = [every[index:][:1]]
    elif isinstance(index, (list, tuple)):
        choices = [tuple(every[i] for i in index if -len(every) <= i < len(every))]
    else:
        choices = [every, every[::-1]]
        if start or end not in (-1, len(every) - 1):  # FPN is told of all maps
            numbers = numbers[start:None if end == -1 else end + 1] if len(numbers) == len(every) else numbers
            choices = [every[start:None if end == -1 else end + 1]]
        if isinstance(node[key], int):
            numbers = numbers * len(choices[0])
    for positions in choices:
        if positions and [channels[i] for i in positions] == numbers:
            return Reader(path, node, key, positions)
    raise UsageError(f'{path}.{key}={node[key]!r} can not be matched: the maps of the backbone have {channels} '
                     'channels')


def _list(value: object) -> list:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _check_left(owner: dict, path: str, readers: Sequence[Reader], channels: List[int], fitted: List[int]) -> None:
    """Makes sure that nothing else goes by the channels of several of the former maps.

    Raises:
        UsageError: Something does.
    """
    if channels == fitted or len(set(channels)) == 1:
        return
    known = {(reader.path, reader.key) for reader in readers}
    for place, node in nodes(owner, None, path):
        for key, value in node.items():
            if 'channels' in key and (place, key) not in known and _list(value)[:len(channels)] == channels \
                    and not f'{place}.'.startswith(f'{path}.backbone.'):
                raise UsageError(f'{place}.{key}={value!r} can not be matched: it begins with the channels of the '
                                 f"former backbone's maps, {channels}")


def _set_positions(node: dict, read: List[int], count: int) -> None:
    """Counts a reader's maps among those that are read, of ``count``."""
    index = node.get('in_index')
    if isinstance(index, int):
        node['in_index'] = read.index(index % count)
    elif index is not None:
        node['in_index'] = [read.index(i % count) for i in index]
    if node.get('start_level'):
        if node.get('end_level', -1) != -1:
            node['end_level'] -= node['start_level']
        node['start_level'] = 0
