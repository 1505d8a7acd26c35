"""From anybody's state dict to a backbone's, with every key on both sides accounted for."""
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule, BaseTTAModel, is_model_wrapper
from torch import Tensor, nn

from .openmmlab import unpack
from .read import CheckpointError, read_checkpoint, unwrap
from .zoo import locate

PREFIXES = {'module', 'model', 'backbone', 'encoder', 'image_encoder', 'img_backbone'}
"""Names under which wrappers, detectors and pre-training methods keep a backbone."""
OPENMMLAB = "OpenMMLab's"
"""The layout of mmdet's, mmsegmentation's and mmpretrain's own classes."""
MOST_PREFIXES, MOST_KEYS = 16, 20000
"""What is looked at in a file: prefixes that a backbone may be under, and weights. No model has more."""


@dataclass
class KeyReport:
    """What became of every key of a checkpoint and of a model, a backbone or a whole detector or segmentor.

    Attributes:
        layout: "this package's", "the authors'", or one of the family's other layouts.
        prefix: Under which the checkpoint keeps the backbone, such as ``backbone.``.
        total: Keys of the model.
        loaded: Keys of the model that the checkpoint fills.
        resized: Those among them whose values were fitted to another shape: {key: (shape found, shape needed)}.
        new: Keys of the model that no checkpoint of this kind has; they keep their values.
        dropped: Keys of the checkpoint that the model has no use for: classifiers, heads, levels that aren't built.
        missing, unexplained: Keys of the model and of the checkpoint that nothing above explains.
        mismatched: {key: (shape found, shape needed)}.
        unusable: {key: what its value is, where that is no weight}.
        fits_too: Variants (``<family>/<variant>``) that compute something else with weights of the same shapes.
    """
    layout: str
    prefix: str
    total: int
    loaded: List[str] = field(default_factory=list)
    resized: Dict[str, tuple] = field(default_factory=dict)
    new: List[str] = field(default_factory=list)
    dropped: List[str] = field(default_factory=list)
    missing: List[str] = field(default_factory=list)
    unexplained: List[str] = field(default_factory=list)
    mismatched: Dict[str, tuple] = field(default_factory=dict)
    unusable: Dict[str, str] = field(default_factory=dict)
    fits_too: List[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every key is explained, and every value is one."""
        return not (self.missing or self.unexplained or self.mismatched or self.unusable)

    def __str__(self) -> str:
        parts = [f'{len(self.loaded)} of {self.total} tensors loaded from {self.layout} layout']
        if self.prefix:
            parts[0] += f' under {self.prefix!r}'
        parts += [f'{name} resized {found} -> {needed}' for name, (found, needed) in self.resized.items()][:4]
        if len(self.resized) > 4:
            parts.append(f'{len(self.resized) - 4} more resized')
        if self.new:
            parts.append(f'{len(self.new)} new ({_names(self.new)})')
        if self.dropped:
            parts.append(f'{len(self.dropped)} dropped ({_names(self.dropped)})')
        for title in ('missing', 'unexplained'):
            if getattr(self, title):
                parts.append(f'{len(getattr(self, title))} {title} ({_names(getattr(self, title))})')
        if self.mismatched:
            name, (found, needed) = next(iter(self.mismatched.items()))
            parts.append(f'{len(self.mismatched)} of another shape (such as {name}: file {found}, model {needed})')
        if self.unusable:
            name, what = next(iter(self.unusable.items()))
            parts.append(f'{len(self.unusable)} without usable values (such as {name}: {what})')
        if self.fits_too:
            parts.append(f'the file fits {", ".join(self.fits_too)} as well, whose weights have the same shapes')
        return '; '.join(parts)


def load_checkpoint(model: nn.Module, source: Union[str, Path], prefix: Optional[str] = None) -> KeyReport:
    """Loads a backbone's weights, all of them or none.

    Args:
        model: A `Backbone`.
        source: File, URL or ``mmvit://<family>/<variant>``.
        prefix: Under which the file keeps the backbone; found by itself where it is None.

    Raises:
        CheckpointError: The file can't be read, or a key is not accounted for.
    """
    path, checkpoint = _open(model, source, prefix)
    state, report = convert(model, checkpoint, prefix, str(path))
    nn.Module.load_state_dict(model, {**model.state_dict(), **state})
    print_log(f'{type(model).__name__} {model.arch!r} from {path}: {report}', logger='current')
    return report


def load_classifier(model: nn.Module, source: Union[str, Path], prefix: Optional[str] = None) -> KeyReport:
    """Loads all weights of a classifier, those of its head too, or none; arguments and errors as for `load_checkpoint`.

    Args:
        model: mmpretrain's ``ImageClassifier`` of a `Backbone` with ``out_type='pooled'``.
    """
    path, found = _open(model, source, prefix)
    if prefix:
        found = {key[len(prefix):]: value for key, value in unwrap(found).items() if key.startswith(prefix)}
    report = check_model(model, found, whole=True, source=str(path))
    model.load_state_dict(_weights(found, str(path)), strict=False)
    return report


def init_weights(model: nn.Module, random: Callable[[], None], load: Callable[..., KeyReport]) -> None:
    """Initialises a module, and loads what its ``init_cfg`` of type Pretrained names in the end, with a loader of ours.

    Args:
        model: Module of mmengine's.
        random: Its ``init_weights`` without that.
        load: `load_checkpoint` or `load_classifier`.
    """
    if model.is_init:
        return BaseModule.init_weights(model)  # which warns
    configs = model.init_cfg if isinstance(model.init_cfg, (list, tuple)) else [model.init_cfg]
    configs = [cfg for cfg in configs if cfg]
    if not all(isinstance(cfg, dict) and 'type' in cfg for cfg in configs):
        raise ValueError('init_cfg must be a dict with a type, such as Pretrained, or a list of such, but is '
                         f'{model.init_cfg!r:.80}')
    pretrained = [cfg for cfg in configs if cfg['type'] in ('Pretrained', 'PretrainedInit')]
    model.init_cfg, kept = [cfg for cfg in configs if cfg not in pretrained], model.init_cfg
    random()
    model.init_cfg = kept
    model._is_init = False
    for cfg in pretrained:
        unknown = set(cfg) - {'type', 'checkpoint', 'prefix', 'map_location'}
        if unknown:
            raise ValueError(f'init_cfg of type Pretrained takes checkpoint and prefix, but got {sorted(unknown)}')
        load(model, cfg.get('checkpoint'), prefix=cfg.get('prefix'))
    model._is_init = True


def load_state_dict_hook(model: nn.Module, state_dict: dict, prefix: str) -> None:
    """Rewrites a backbone's part of a state dict, in place, to the model's own keys and shapes.

    Backbones call it as they load a state dict, so that ``load_state_dict`` and mmengine's ``load_from`` and
    ``resume`` take the authors' files too, and never half of one.
    """
    own = model.state_dict()
    part = {key[len(prefix):]: value for key, value in state_dict.items() if key.startswith(prefix)}
    state, report = convert(model, part, None, f'the part of the checkpoint at {prefix!r}' if prefix else 'the state dict')
    if own.keys() == state.keys() == part.keys() and not report.resized:
        return
    for key in part:
        del state_dict[prefix + key]
    state_dict.update({prefix + key: value for key, value in {**own, **state}.items()})
    print_log(f'{type(model).__name__} {model.arch!r}: {report}', logger='current')


def convert(model: nn.Module,
            checkpoint: Mapping,
            prefix: Optional[str] = None,
            source: str = 'the checkpoint') -> Tuple[Dict[str, Tensor], KeyReport]:
    """Rewrites a checkpoint to a backbone's keys and shapes.

    Args:
        model: A `Backbone`; it is not changed.
        checkpoint: A state dict, or what a training script has wrapped around one.
        prefix: As for `load_checkpoint`.
        source: What to call the checkpoint in messages.

    Returns:
        The state dict without the keys that keep the model's values (``report.new``), and the report.

    Raises:
        CheckpointError: A key is not accounted for, or a value is no weight.
    """
    own = model.state_dict()
    found = _weights(checkpoint, source)
    layout, prefix, renamed, values, outside = _best_reading(type(model), model.spec, own, found, prefix)
    state, report = {}, KeyReport(layout, prefix, len(own), dropped=outside)
    for key, name in renamed.items():
        if name is None or name not in own and model.leaves_out(name):
            report.dropped.append(key)
        elif name not in own:
            report.unexplained.append(key)
        else:
            _take(state, report, name, values[key], own[name], model)
    report.loaded = list(state)
    given = {name.rpartition('.')[0] for name in state if not _is_counter(name)}
    for name in own:
        if name not in state and name not in report.mismatched and name not in report.unusable:
            # a norm is one unit: where its weight is given, its bias is not new
            new = _is_counter(name) or _is_new(type(model), name) and name.rpartition('.')[0] not in given
            (report.new if new else report.missing).append(name)
    if not report.complete:
        for variant, (pattern, reason) in type(model).refused.items():
            if any(re.search(pattern, key) for key in report.unexplained):
                raise CheckpointError(f'{source} holds {model.family}/{variant}, and nothing was loaded: {reason}.')
        names = identify(found)
        looks = f'It looks like {" or ".join(names)}' if names else 'It is none of the backbones in this package'
        advice = ('Get the file again.' if report.unusable else 'Choose the matching arch, or the matching file.'
                  if names else 'Weights of a whole detector belong into load_from or --resume of its own config.')
        raise CheckpointError(f'{source} does not fit {type(model).__name__} {model.arch!r}, and nothing was loaded: '
                              f'{report}. {looks}. {advice}')
    report.fits_too = _others(model, report, state)
    return state, report


def check_model(model: nn.Module, checkpoint: Mapping, whole: bool, source: str = 'the checkpoint') -> KeyReport:
    """Compares a detector, segmentor or classifier with a checkpoint of mmengine's; neither is changed.

    Args:
        model: As `mmengine.runner.Runner` has it, perhaps wrapped.
        checkpoint: What a runner has saved, or a state dict.
        whole: The checkpoint must fill all of the model, as it must to evaluate or to resume. Else it must fill the
            backbone, and a line in the log says what it leaves as it is.
        source: What to call the checkpoint in messages.

    Raises:
        CheckpointError: It does not.
    """
    from ..backbones import Backbone
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    own = model.state_dict()
    found = checkpoint.get('state_dict', checkpoint)
    if not isinstance(found, Mapping):
        raise CheckpointError(f'{source} holds a {type(found).__name__} as state_dict, not a dict of weights')
    found = {key[7:] if key.startswith('module.') else key: value for key, value in _weights(found, source).items()}
    backbone = getattr(model, 'backbone', None)
    if isinstance(backbone, Backbone) and backbone.out_type == 'pooled':
        found = name_classifier(backbone, found)
    state, report = {}, KeyReport("this package's", '', len(own))
    backbones = [f'{name}.' if name else '' for name, module in model.named_modules() if isinstance(module, Backbone)]
    for prefix in backbones:
        part = {key[len(prefix):]: found.pop(key) for key in list(found) if key.startswith(prefix)}
        if not part:
            raise CheckpointError(f'{source} holds no weights of {type(model).__name__} at {prefix!r}, and nothing was loaded. '
                                  "Weights of a backbone alone belong into the backbone's init_cfg.")
        backbone = model.get_submodule(prefix.rstrip('.'))
        filled, inner = convert(backbone, part, None, source)
        state.update({prefix + name: value for name, value in filled.items()})
        report.new += [prefix + name for name in inner.new]
        report.dropped += [prefix + name for name in inner.dropped]
    for name, value in found.items():
        if name in own:
            _take(state, report, name, value, own[name])
        else:
            report.dropped.append(name)
    report.loaded = list(state)
    for name in own:
        if name not in {*state, *report.new, *report.mismatched, *report.unusable}:
            (report.new if _is_counter(name) else report.missing).append(name)
    lacking = [*report.missing, *report.mismatched, *report.unusable]
    if lacking and (whole or any(name.startswith('backbone.') for name in lacking)):
        raise CheckpointError(f'{source} does not fit the {type(model).__name__} of the config, and nothing was loaded: '
                              f'{report}. Give the checkpoint of this config, or the config of this checkpoint.')
    if lacking or report.dropped:
        print_log(f'{type(model).__name__} from {source}: {report}', logger='current')
    return report


def name_classifier(model: nn.Module, found: Mapping) -> Dict[str, Tensor]:
    """The weights of an authors' classifier, by the names that they have in mmpretrain's ``ImageClassifier``.

    Args:
        model: Its `Backbone`.
        found: By the authors' names. mmpretrain's own stay as they are.
    """
    heads = {'head.fc.': 'head.fc.', **model.head_keys}
    _, prefix, *_ = _best_reading(type(model), model.spec, model.state_dict(), found)
    if prefix.endswith('backbone.'):
        return dict(found)
    named = {}
    for key, value in found.items():
        inner = key[len(prefix):] if key.startswith(prefix) else key
        start = next((start for start in heads if inner.startswith(start)), None)
        named[f'backbone.{key}' if start is None else heads[start] + inner[len(start):]] = value
    return named


def identify(checkpoint: Mapping) -> List[str]:
    """Names (``<family>/<variant>``) of the backbones that a checkpoint fits; several where variants share shapes."""
    from .. import list_backbones
    from ..registry import MODELS
    found = _weights(checkpoint, 'the checkpoint')
    fits, alike = {}, {}
    for name, cfg in list_backbones().items():
        cls = MODELS.get(cfg['type'].split('.')[1])
        if alike.get(cls, True):
            own = _layout(cls, cfg['arch'])
            _, _, renamed, values, _ = _best_reading(cls, cls.archs[cfg['arch']], own, found)
        if cls not in alike:  # a first variant tells families apart, whatever the number of its blocks
            a, b = ({re.sub(r'\d+', '0', key) for key in keys if key is not None} for keys in (own, renamed.values()))
            alike[cls] = len(a & b) > .5 * min(len(a), len(b))
        if not alike[cls]:
            continue
        names = {new: tuple(values[key].shape) for key, new in renamed.items() if new is not None}
        equal = sum(own.get(new) == shape for new, shape in names.items())
        apart = sum(not _is_new(cls, new) for new in set(own) ^ set(names))
        fits[name] = equal / max(1, equal + apart + sum(new in own and own[new] != names[new] for new in names))
    best = max(fits.values(), default=0)
    return [name for name, fit in fits.items() if fit == best > .8]


def _open(model: nn.Module, source: Union[str, Path], prefix: Optional[str]) -> Tuple[Path, dict]:
    """The file that ``init_cfg`` names, and what is in it."""
    for what, value in (('checkpoint', source), ('prefix', '' if prefix is None else prefix)):
        if not isinstance(value, (str, Path)):
            arch = f' {model.arch!r}' if hasattr(model, 'arch') else ''
            raise CheckpointError(f'{type(model).__name__}{arch} expects {what} to be a text, but got {value!r}')
    path = locate(str(source))
    return path, read_checkpoint(path)


def _best_reading(cls: type, spec: dict, own: Mapping, found: Mapping, prefix: Optional[str] = None):
    """The layout and prefix under which most keys of ``own`` are found.

    Returns:
        Name of the layout, prefix, {key found: our name or None where it is dropped}, {key found: value}, keys outside of
        the prefix.
    """
    left_out = [] if any(_matches(cls.pooled_keys, name) for name in own) else cls.pooled_keys
    readings = []
    for start in _prefixes(found) if prefix is None else [prefix.rstrip('.') + '.' if prefix else '']:
        inside = {key: value for key, value in found.items() if key.startswith(start)}
        outside = [key for key in found if not key.startswith(start)]
        for layout, rules in (("this package's", ()), *cls.layouts(spec).items()):
            values = unpack(inside, cls.in_proj) if layout == OPENMMLAB else inside
            renamed = {key: _rename(key[len(start):], rules) for key in values}
            for key, name in renamed.items():
                if name is not None and name not in own and _matches(left_out, name):
                    renamed[key] = None
            score = sum(name in own for name in renamed.values()), -sum(name is not None for name in renamed.values())
            readings.append((score, layout, start, renamed, values, outside))
    return max(readings, key=lambda reading: reading[0])[1:]


def _prefixes(keys: Sequence[str]) -> List[str]:
    """Those under which a backbone may be, of which most keys begin, the shortest first."""
    found = Counter()
    for key in keys:
        words = key.split('.', 5)[:-1]
        for i, word in enumerate(words):
            if word not in PREFIXES:
                break
            found['.'.join(words[:i + 1]) + '.'] += 1
    return sorted(['', *(prefix for prefix, _ in found.most_common(MOST_PREFIXES))], key=len)


@lru_cache(maxsize=1 << 17)  # variants of a family have the same rules
def _rename(key: str, rules: Sequence[tuple]) -> Optional[str]:
    for pattern, replacement in rules:
        if replacement is None:
            if re.search(pattern, key):
                return None
        else:
            key = re.sub(pattern, replacement, key)
    return key


def _weights(checkpoint: Mapping, source: str) -> Dict[str, Tensor]:
    """The tensors and arrays of a checkpoint, by name."""
    content = unwrap(checkpoint)
    for key in content:
        if not isinstance(key, str):
            raise CheckpointError(f'{source} has {type(key).__name__} keys, where names of weights are expected')
    found = {key: value for key, value in content.items() if isinstance(value, (Tensor, np.ndarray))}
    if len(found) > MOST_KEYS:
        raise CheckpointError(f'{source} holds {len(found):,} weights; no model here has more than {MOST_KEYS:,}')
    for key, value in found.items():
        if isinstance(value, Tensor) and value.is_nested:
            raise CheckpointError(f'{source} holds a nested tensor, {_names([key])}. Save dense tensors')
    return found


def _take(state: Dict[str, Tensor], report: KeyReport, name: str, value: Tensor, own: Tensor,
          model: Optional[nn.Module] = None) -> None:
    """Puts a value into the state if it is a weight and fits, or can be fitted by the backbone; else into the report."""
    fault = _fault(name, value, own)
    if fault:
        report.unusable[name] = fault
        return
    shapes = tuple(value.shape), tuple(own.shape)
    if shapes[0] != shapes[1]:
        value = model and _resize(model, name, value, own)
        if value is None or value.shape != own.shape:
            report.mismatched[name] = shapes
            return
        report.resized[name] = shapes
    state[name] = value


def _fault(name: str, value: object, own: Tensor) -> Optional[str]:
    """What a value is that can't be copied into ``own``; None if it can."""
    if not isinstance(value, Tensor):
        return f'a NumPy {type(value).__name__}, not a tensor'
    if value.is_quantized:
        return 'quantized'
    if value.layout != torch.strided:
        return 'sparse'
    if value.is_meta:
        return None if own.is_meta else 'a tensor without values, on the meta device'
    numbers = [x.dtype.is_floating_point + 2 * x.dtype.is_complex + 4 * (x.dtype == torch.bool) for x in (value, own)]
    if numbers[0] != numbers[1] and not _is_counter(name):
        return f'{str(value.dtype)[6:]}, not {str(own.dtype)[6:]}'
    if own.dtype.is_floating_point and not torch.isfinite(value.to(own.dtype)).all():
        return 'NaN or infinite values'
    return None


def _matches(patterns: Sequence[str], name: str) -> bool:
    return any(re.match(pattern, name) for pattern in patterns)


def _is_new(cls: type, name: str) -> bool:
    return _matches(cls.new_keys, name) or _is_counter(name)


def _is_counter(name: str) -> bool:
    """Whether it is the count of steps beside a batch norm's statistics, which PyTorch has had since 0.4.1."""
    return name.endswith('num_batches_tracked')


def _resize(model: nn.Module, name: str, value: Tensor, own: Tensor) -> Optional[Tensor]:
    """Fits a value to another image size or number of image channels; None where that isn't what differs."""
    if value.dim() != own.dim():
        return None
    owner, _, leaf = name.rpartition('.')
    module = model.get_submodule(owner)
    if hasattr(module, 'resize'):
        value = module.resize(leaf, value)
        if value is None or value.shape == own.shape:
            return value
    channels = model.in_channels
    if name.startswith('patch_embed.') and value.dim() == 4 and value.shape[1] \
            and tuple(own.shape) == (len(value), channels, *value.shape[2:]):
        # the same response to an image whose channels are equal
        repeated = value.repeat(1, -(-channels // value.shape[1]), 1, 1)[:, :channels]
        return repeated * (value.shape[1] / channels) if channels > 1 else value.sum(1, keepdim=True)
    return None


def _others(model: nn.Module, report: KeyReport, state: Dict[str, Tensor]) -> List[str]:
    """The variants whose weights have the shapes that a file has: they differ in windows or in what is computed."""
    cls = type(model)
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    shapes.update((name, found) for name, (found, _) in report.resized.items())
    others = []
    for arch, spec in cls.archs.items():
        if arch != model.arch and all(tuple(spec[key]) == tuple(model.spec[key]) for key in ('dims', 'depths')):
            layout = _layout(cls, arch)
            rest = [name for name in layout if name not in shapes and not model.leaves_out(name)]
            if all(layout.get(name) == shape for name, shape in shapes.items()) and all(_is_new(cls, name) for name in rest):
                others.append(f'{cls.family}/{arch}')
    return others


@lru_cache(maxsize=None)
def _layout(cls: type, arch: str) -> Dict[str, tuple]:
    with torch.device('meta'):
        return {key: tuple(value.shape) for key, value in cls(arch).state_dict().items()}


def _names(keys: Sequence[str]) -> str:
    shown = [key if key.isprintable() and len(key) <= 100 else f'{ascii(key[:100])}...' for key in keys[:3]]
    return ', '.join(shown) + (', ...' if len(keys) > 3 else '')
