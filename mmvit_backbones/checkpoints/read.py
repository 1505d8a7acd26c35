"""Checkpoint files, read without running what they hold."""
import argparse
import codecs
import pickle
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Dict, Union

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor
from torch.torch_version import TorchVersion

WRAPPINGS = ('state_dict_ema', 'model_ema', 'state_dict', 'model')
"""Keys under which training scripts keep the weights; averaged ones, which the authors evaluate, come first."""


class CheckpointError(RuntimeError):
    """A checkpoint that can't be used as asked; the message says what was found and what to do."""


def _getattr(owner: object, name: str) -> object:
    """Stands in for getattr, with which mmengine's HistoryBuffer saves its methods; for nothing else."""
    if owner is not HistoryBuffer:
        raise pickle.UnpicklingError(f'Unsupported getattr of {owner!r}')
    return getattr(owner, name)


_TAKES_A_LIST = torch.__version__ >= TorchVersion('2.6')

# What authors' training scripts and mmengine save beside tensors. Plain data: to build it runs no code of the file's.
_numpy = np.core if np.__version__ < '2' else np._core
_ALLOWED = [
    argparse.Namespace, HistoryBuffer, np.ndarray, np.dtype,
    *{type(np.dtype(kind)) for kind in ('f2', 'f4', 'f8', 'i1', 'i4', 'i8', 'u1', '?')}
]  # yapf: disable
_ALIASES = [
    (_getattr, 'builtins.getattr'),
    (_getattr, '__builtin__.getattr'),  # as pickles of protocol 2 name it
    (codecs.encode, '_codecs.encode'),  # bytes, in numpy's arrays
    (OrderedDict, 'yacs.config.CfgNode'),  # settings, in the files of Swin's training code and its heirs
    *((getattr(_numpy.multiarray, name), f'numpy.{core}.multiarray.{name}') for name in ('scalar', '_reconstruct')
      for core in ('core', '_core')),
]


def read_checkpoint(path: Union[str, Path], trust: bool = False) -> dict:
    """What `torch.save` has written to a file, on the CPU.

    Args:
        path: File of `torch.save`, of any version, or a ``.safetensors`` file.
        trust: Unpickle whatever is in it. That runs code of the file's author: only for files that you trust.

    Raises:
        CheckpointError: The file is missing, no checkpoint, damaged, or holds more than plain data.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f'There is no checkpoint {path}' + (': that is a folder' if path.is_dir() else ''))
    if path.suffix == '.safetensors':
        from safetensors.torch import load_file
        return load_file(path)
    _check_format(path)
    try:
        found = _load(path, trust)
    except (pickle.UnpicklingError, EOFError, RuntimeError, ValueError, KeyError) as error:
        if not isinstance(error, pickle.UnpicklingError) or 'truncated' in str(error):
            raise CheckpointError(f'{path} is damaged ({error}). Get the file again.') from error
        reason = next((line for line in str(error).splitlines() if 'nsupported' in line or 'GLOBAL' in line), error)
        raise CheckpointError(
            f'{path} holds more than tensors and plain data, and reading it would run code from it: {reason}\nIf you '
            f'trust where it comes from, make a clean file of it once: python tools/convert_checkpoint.py {path} '
            'OUT.pth --trust') from error
    if not isinstance(found, Mapping):
        raise CheckpointError(f'{path} holds a {type(found).__name__}, not a dict of weights. Save the state_dict().')
    return found


def unwrap(checkpoint: Mapping) -> Dict[str, Tensor]:
    """The tensors of a checkpoint, taken out of the wrappings that training scripts put around them."""
    while True:
        inner = [checkpoint[key] for key in WRAPPINGS if isinstance(checkpoint.get(key), Mapping) and checkpoint[key]]
        if not inner:
            return {key: value for key, value in checkpoint.items() if isinstance(value, Tensor)}
        checkpoint = inner[0]


def _check_format(path: Path) -> None:
    with path.open('rb') as file:
        head = file.read(512)
    size = path.stat().st_size
    if head.startswith(b'version https://git-lfs'):
        raise CheckpointError(f'{path} is a Git-LFS pointer, not the weights. Run `git lfs pull` where it was cloned.')
    if head.startswith(b'PK'):
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except zipfile.BadZipFile as error:
            raise CheckpointError(
                f'{path} ends too early, at {size:,} bytes, or is damaged: a broken download. Get the file again.') from error
        if any(name.endswith('/constants.pkl') for name in names):
            raise CheckpointError(f'{path} is a TorchScript program, not weights. Save the state_dict() of the model.')
    elif not head.startswith(b'\x80') or tarfile.is_tarfile(path):
        kind = 'empty'
        if head:
            text = head.lstrip().lower()
            page = text.startswith((b'<!doctype', b'<html', b'<?xml'))
            kind = 'a web page' if page else 'a text file' if head.isascii() else 'in an unknown format'
        raise CheckpointError(f'{path} is {kind} ({size:,} bytes), not a PyTorch checkpoint. Get the file again.')


def _load(path: Path, trust: bool) -> object:
    if _TAKES_A_LIST and not trust:
        with torch.serialization.safe_globals(_ALLOWED + _ALIASES):
            return torch.load(path, map_location='cpu', weights_only=True)
    pickle_module = pickle if trust else SimpleNamespace(
        __name__=__name__, Unpickler=_Unpickler, load=lambda file, **options: _Unpickler(file, **options).load())
    return torch.load(path, map_location='cpu', weights_only=False, pickle_module=pickle_module)


class _Unpickler(pickle.Unpickler):
    """Builds what the lists above and PyTorch's own allow, for PyTorch before 2.6, which takes no list with aliases."""

    def find_class(self, module: str, name: str) -> object:
        known = dict(torch._weights_only_unpickler._get_allowed_globals())
        known.update((f'{cls.__module__}.{cls.__qualname__}', cls) for cls in _ALLOWED)
        known.update((alias, cls) for cls, alias in _ALIASES)
        try:
            return known[f'{module}.{name}']
        except KeyError:
            raise pickle.UnpicklingError(f'Unsupported class {module}.{name}') from None
