"""From anybody's state dict to a backbone's, with every key on both sides accounted for."""
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple, Union

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from .read import CheckpointError, read_checkpoint, unwrap
from .zoo import locate

PREFIXES = {'module', 'model', 'backbone', 'encoder', 'image_encoder', 'img_backbone'}
"""Names under which wrappers, detectors and pre-training methods keep a backbone."""


@dataclass
class KeyReport:
    """What became of every key of a checkpoint and of a backbone.

    Attributes:
        layout: "the authors'" or "this package's".
        prefix: Under which the checkpoint keeps the backbone, such as ``backbone.``.
        total: Keys of the backbone.
        loaded: Keys of the backbone that the checkpoint fills.
        resized: Those among them whose values were fitted to another shape: {key: (shape found, shape needed)}.
        new: Keys of the backbone that no checkpoint of this kind has; they keep their values.
        dropped: Keys of the checkpoint that the backbone has no use for: classifiers, heads, levels that aren't built.
        missing, unexplained: Keys of the backbone and of the checkpoint that nothing above explains.
        mismatched: {key: (shape found, shape needed)}.
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

    @property
    def complete(self) -> bool:
        """Whether every key is explained."""
        return not (self.missing or self.unexplained or self.mismatched)

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
    path = locate(str(source))
    state, report = convert(model, read_checkpoint(path), prefix, str(path))
    nn.Module.load_state_dict(model, {**model.state_dict(), **state})
    print_log(f'{type(model).__name__} {model.arch!r} from {path}: {report}', logger='current')
    return report


def load_state_dict_hook(model: nn.Module, state_dict: dict, prefix: str) -> None:
    """Rewrites a backbone's part of a state dict, in place, to the model's own keys and shapes.

    Backbones call it as they load a state dict, so that ``load_state_dict`` and mmengine's ``load_from`` and
    ``resume`` take the authors' files too, and never half of one.
    """
    own = model.state_dict()
    part = {key[len(prefix):]: value for key, value in state_dict.items() if key.startswith(prefix)}
    if {key: value.shape for key, value in own.items()} == {key: getattr(v, 'shape', None) for key, v in part.items()}:
        return
    state, report = convert(model, part, None, f'the part of the checkpoint at {prefix!r}' if prefix else 'the state dict')
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
        CheckpointError: A key is not accounted for.
    """
    own = model.state_dict()
    found = unwrap(checkpoint)
    layout, prefix, renamed, outside = _best_reading(type(model), own, found, prefix)
    state, report = {}, KeyReport(layout, prefix, len(own), dropped=outside)
    for key, name in renamed.items():
        value = found[key]
        if name is None or name not in own and _is_level_not_built(name, model):
            report.dropped.append(key)
        elif name not in own:
            report.unexplained.append(key)
        elif value.shape == own[name].shape:
            state[name] = value
        else:
            shapes = tuple(value.shape), tuple(own[name].shape)
            value = _resize(model, name, value, own[name])
            if value is None or value.shape != own[name].shape:
                report.mismatched[name] = shapes
            else:
                state[name], report.resized[name] = value, shapes
    report.loaded = list(state)
    for name in own:
        if name not in state and name not in report.mismatched:
            (report.new if _is_new(type(model), name) else report.missing).append(name)
    if not report.complete:
        names = identify(found)
        looks = f'It looks like {" or ".join(names)}' if names else 'It is none of the backbones in this package'
        advice = ('Choose the matching arch, or the matching file.' if names else 'Weights of a whole detector belong '
                  'into load_from or --resume of its own config.')
        raise CheckpointError(f'{source} does not fit {type(model).__name__} {model.arch!r}, and nothing was loaded: '
                              f'{report}. {looks}. {advice}')
    return state, report


def identify(checkpoint: Mapping) -> List[str]:
    """Names (``<family>/<variant>``) of the backbones that a checkpoint fits; several where variants share shapes."""
    from .. import list_backbones
    from ..registry import MODELS
    found = unwrap(checkpoint)
    fits = {}
    for name, cfg in list_backbones().items():
        cls = MODELS.get(cfg['type'].split('.')[1])
        own = _layout(cls, cfg['arch'])
        _, _, renamed, _ = _best_reading(cls, own, found)
        names = {new: found[key].shape for key, new in renamed.items() if new is not None}
        equal = sum(own.get(new) == shape for new, shape in names.items())
        apart = sum(not _is_new(cls, new) for new in set(own) ^ set(names))
        fits[name] = equal / max(1, equal + apart + sum(new in own and own[new] != names[new] for new in names))
    best = max(fits.values(), default=0)
    return [name for name, fit in fits.items() if fit == best > .8]


def _best_reading(cls: type, own: Mapping, found: Mapping, prefix: Optional[str] = None):
    """The layout and prefix under which most keys of ``own`` are found.

    Returns:
        Name of the layout, prefix, {key found: our name or None where it is dropped}, keys outside of the prefix.
    """
    readings = []
    for start in _prefixes(found) if prefix is None else [prefix.rstrip('.') + '.' if prefix else '']:
        inside = {key: key[len(start):] for key in found if key.startswith(start)}
        outside = [key for key in found if not key.startswith(start)]
        for layout, rules in (("this package's", ()), ("the authors'", cls.rename)):
            renamed = {key: _rename(name, rules) for key, name in inside.items()}
            readings.append((sum(name in own for name in renamed.values()), layout, start, renamed, outside))
    return max(readings, key=lambda reading: reading[0])[1:]


def _prefixes(keys: Sequence[str]) -> Iterator[str]:
    found = {''}
    for key in keys:
        words = key.split('.')
        for i in range(1, len(words)):
            if words[i - 1] not in PREFIXES:
                break
            found.add('.'.join(words[:i]) + '.')
    return sorted(found, key=len)


def _rename(key: str, rules: Sequence[tuple]) -> Optional[str]:
    for pattern, replacement in rules:
        if replacement is None:
            if re.search(pattern, key):
                return None
        else:
            key = re.sub(pattern, replacement, key)
    return key


def _is_new(cls: type, name: str) -> bool:
    return any(re.match(pattern, name) for pattern in cls.new_keys) or name.endswith('num_batches_tracked')


def _is_level_not_built(name: str, model: nn.Module) -> bool:
    level = re.match(r'(stages\.|norm)(\d+)\.', name)
    return bool(level) and (level[1] == 'norm' or int(level[2]) >= len(model.stages))


def _resize(model: nn.Module, name: str, value: Tensor, own: Tensor) -> Optional[Tensor]:
    """Fits a value to another image size or number of image channels; None where that isn't what differs."""
    owner, _, leaf = name.rpartition('.')
    module = model.get_submodule(owner)
    if hasattr(module, 'resize'):
        return module.resize(leaf, value)
    channels = model.in_channels
    if name.startswith('patch_embed.') and value.dim() == 4 and tuple(own.shape) == (len(value), channels, *value.shape[2:]):
        # the same response to an image whose channels are equal
        repeated = value.repeat(1, -(-channels // value.shape[1]), 1, 1)[:, :channels]
        return repeated * (value.shape[1] / channels) if channels > 1 else value.sum(1, keepdim=True)
    return None


@lru_cache(maxsize=None)
def _layout(cls: type, arch: str) -> Dict[str, torch.Size]:
    with torch.device('meta'):
        return {key: value.shape for key, value in cls(arch).state_dict().items()}


def _names(keys: Sequence[str]) -> str:
    return ', '.join(keys[:3]) + (', ...' if len(keys) > 3 else '')
