"""Checkpoint files, read without running what they hold."""
import io
import math
import pickle
import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Dict, Iterable, Optional, Union

import torch

from . import flax
from .pickles import Damaged, Refused, Storage, StorageType, read_pickle

WRAPPINGS = ('state_dict_ema', 'model_ema', 'state_dict', 'model', 'model_state')
"""Keys under which training scripts keep the weights; averaged ones, which the authors evaluate, come first."""
LEGACY_MAGIC = 0x1950a86a20f9469cfc6c
"""What files of `torch.save` before PyTorch 1.6 begin with."""
ARRAY = re.compile(
    rb"\{'descr': '([<>|])(f[248]|i[1248]|u1)', 'fortran_order': (False|True), "
    rb"'shape': \(((?:[1-9]\d{0,17}, ?){0,31}(?:[1-9]\d{0,17})?)\), \}\s*")
"""How `numpy.save` describes numbers, in front of them: byte order, kind, whether columns come first, shape."""
FOREIGN_ORDER = 'its numbers have the byte order of another kind of machine. Save it anew on a little-endian one'


class CheckpointError(RuntimeError):
    """A checkpoint that can't be used as asked; the message says what was found and what to do."""


class UntrustedError(CheckpointError):
    """A checkpoint that holds more than tensors and plain data."""


def read_checkpoint(path: Union[str, Path], trust: bool = False) -> dict:
    """What `torch.save` has written to a file, on the CPU.

    Nothing in the file is run, and no more memory is taken than the file has. The checksums of zip files, which
    `torch.save` has written since PyTorch 1.6, are verified; older files and safetensors files have none.

    Args:
        path: File of `torch.save`, of any version, a safetensors file, or parameters of Flax in a file of `numpy.savez`,
            which get the names and shapes that they have in PyTorch.
        trust: Unpickle whatever is in it. That runs code of the file's author: only for files that you trust.

    Raises:
        CheckpointError: The file is missing, no checkpoint, damaged, or holds more than plain data.
    """
    path = Path(path)
    try:
        found = _read(path, trust)
    except Refused as error:
        raise UntrustedError(
            f'{path} holds more than tensors and plain data ({one_line(error)}), and reading that could run code from it. If '
            f'you trust where it comes from, make a clean file of it once: python tools/convert_checkpoint.py {path} OUT.pth '
            '--trust') from error
    except Damaged as error:
        raise CheckpointError(f'{path} is damaged, or not a checkpoint: {one_line(error)}. Get the file again.') from error
    except (zipfile.BadZipFile, EOFError, NotImplementedError, UnicodeDecodeError, struct.error) as error:  # from zipfile
        raise CheckpointError(
            f'{path} ends too early or is damaged: {one_line(error)}. Get the file again. (A checksum is wrong, too, where a '
            'file was saved without them.)') from error
    except OSError as error:
        raise CheckpointError(f'{path} can not be read: {error.strerror or error}') from error
    except MemoryError as error:
        raise CheckpointError(f'{path} needs more memory than there is, for its {path.stat().st_size:,} bytes') from error
    if not isinstance(found, Mapping):
        raise CheckpointError(f'{path} holds a {type(found).__name__}, not a dict of weights. Save the state_dict().')
    return found


def check_file(path: Union[str, Path]) -> None:
    """Makes sure that a file is a whole checkpoint, whether or not it holds more than plain data.

    Raises:
        CheckpointError: It is not.
    """
    try:
        read_checkpoint(path)
    except UntrustedError:
        pass  # sound, and to be read by those who trust it


def unwrap(checkpoint: Mapping) -> Dict[str, object]:
    """The weights of a checkpoint, taken out of the wrappings that training scripts put around them.

    Raises:
        CheckpointError: There are more wrappings around each other than any script makes.
    """
    for _ in range(len(WRAPPINGS) + 1):
        inner = [checkpoint[key] for key in WRAPPINGS if isinstance(checkpoint.get(key), Mapping) and checkpoint[key]]
        if not inner:
            return dict(checkpoint)
        checkpoint = inner[0]
    raise CheckpointError(f'A checkpoint holds its weights under one of {", ".join(WRAPPINGS)}, but in this one they are in '
                          'each other without end')


def _read(path: Path, trust: bool) -> object:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise CheckpointError(f'There is no checkpoint {path}') from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f'There is no checkpoint {str(path)[:200]}: {error}') from error
    if not path.is_file():
        raise CheckpointError(f'There is no checkpoint {path}: that is {"a folder" if path.is_dir() else "no regular file"}')
    with path.open('rb') as file:
        head = file.read(512)
        file.seek(0)
        if head.startswith(b'PK'):
            with zipfile.ZipFile(file) as archive:
                prefix = _check_archive(archive, path, size)
                if prefix is None:
                    return flax.unpack(_read_arrays(archive))
                if not trust:
                    return _Archive(archive, prefix, size).read()
                _check_sums(archive, archive.namelist())
        elif head[8:9] == b'{' and int.from_bytes(head[:8], 'little') <= size - 8:
            return _read_safetensors(path)
        elif not head.startswith(b'\x80'):
            raise CheckpointError(f'{path} is {_kind(head)} ({size:,} bytes), not a PyTorch checkpoint. Get the file again.')
        elif not trust:
            return _Legacy(file, size).read()
        file.seek(0)
        return _unpickle(path, file)


def _kind(head: bytes) -> str:
    if head.startswith(b'version https://git-lfs'):
        return 'a Git-LFS pointer, for which `git lfs pull` fetches the weights where it was cloned'
    if not head:
        return 'empty'
    text = head.lstrip(b'\xef\xbb\xbf \t\r\n').lower()
    page = text.startswith((b'<!doctype', b'<html', b'<?xml', b'<head', b'<body'))
    return 'a web page' if page else 'a text file' if head.isascii() else 'in an unknown format'


def _read_safetensors(path: Path) -> dict:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise CheckpointError(f'{path} is a safetensors file. Install what reads it: pip install safetensors') from error
    try:
        return load_file(path)
    except SafetensorError as error:
        raise Damaged(f'its safetensors header is wrong ({error})') from error
    except KeyError as error:
        raise Damaged(f'it holds tensors of type {error}, which this PyTorch or this safetensors does not have') from error


def _unpickle(path: Path, file: BinaryIO) -> object:
    try:
        return torch.load(file, map_location='cpu', weights_only=False)
    except (pickle.UnpicklingError, ArithmeticError, AttributeError, EOFError, ImportError, LookupError, RuntimeError, TypeError,
            ValueError) as error:
        raise CheckpointError(f'{path} could not be unpickled: {one_line(error)}') from error


def _read_arrays(archive: zipfile.ZipFile) -> Dict[str, torch.Tensor]:
    """What `numpy.savez` has written, by name."""
    found = {}
    for entry in archive.infolist():
        name = one_line(entry.filename)
        with archive.open(entry) as part:
            head = part.read(10)  # magic, version, length of the description
            description = ARRAY.fullmatch(part.read(int.from_bytes(head[8:], 'little')))
            if head[:8] != b'\x93NUMPY\x01\x00' or not description:
                raise Damaged(f'{name} in it is no array of numbers')
            order, kind, columns, sides = (text.decode() for text in description.groups())
            shape = [int(side) for side in re.findall(r'\d+', sides)]
            if order == '>':
                raise Damaged(FOREIGN_ORDER)
            if math.prod(shape) * int(kind[1]) != entry.file_size - part.tell():
                raise Damaged(f'the values {name} are not as many as it says')
            content = _reserve(entry.file_size - part.tell())
            _fill(part, content)
            if part.read(1):  # which also verifies the checksum
                raise Damaged(f'the values {name} are longer than it says')
        values = content.numpy().view(kind).reshape(shape, order='F' if columns == 'True' else 'C')
        found[entry.filename[:-len('.npy')]] = torch.from_numpy(values)
    return found


def _check_archive(archive: zipfile.ZipFile, path: Path, size: int) -> Optional[str]:
    """The folder in a zip file of `torch.save` that holds all; None for a file of `numpy.savez`."""
    entries = archive.infolist()
    names = {entry.filename for entry in entries}
    roots = [name[:-len('data.pkl')] for name in names if re.fullmatch(r'[^/]+/data\.pkl', name)]
    if any(name.endswith('/constants.pkl') for name in names):
        raise CheckpointError(f'{path} is a TorchScript program, not weights. Save the state_dict() of the model.')
    arrays = bool(names) and all(name.endswith('.npy') for name in names)
    if not roots and not arrays:
        raise CheckpointError(f'{path} is a zip file, but not one that torch.save writes: it holds no data.pkl')
    if len(roots) > 1 or len(names) < len(entries):
        raise Damaged('it holds files of the same name, or several checkpoints')
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
        raise Damaged('its parts are compressed or encrypted, which neither torch.save nor numpy.savez does')
    if any(not 0 <= entry.header_offset < size for entry in entries) or sum(entry.file_size for entry in entries) > size:
        raise Damaged('its parts are larger than the whole, or outside of it')
    return None if arrays else roots[0]


def _check_sums(archive: zipfile.ZipFile, names: Iterable[str]) -> None:
    for name in names:
        with archive.open(name) as part:
            while part.read(1 << 22):  # its end verifies the checksum
                pass


class _Archive:
    """A zip file of `torch.save`: a pickle, and a file for each storage."""

    def __init__(self, archive: zipfile.ZipFile, root: str, size: int) -> None:
        self.archive, self.root, self.size = archive, root, size
        self.storages: Dict[str, torch.Tensor] = {}

    def read(self) -> object:
        if f'{self.root}byteorder' in self.archive.namelist() \
                and self.archive.read(f'{self.root}byteorder') != b'little':
            raise Damaged(FOREIGN_ORDER)
        found = read_pickle(io.BytesIO(self.archive.read(f'{self.root}data.pkl')), self.size, self.storage)
        loaded = {f'{self.root}data/{name}' for name in self.storages}
        _check_sums(self.archive, [name for name in self.archive.namelist() if name not in loaded])
        return found

    def storage(self, key: tuple) -> Storage:
        kind, name, count = _storage_key(key)
        needed = count * _itemsize(kind)
        if name not in self.storages:
            try:
                entry = self.archive.getinfo(f'{self.root}data/{name}')
            except KeyError:
                raise Damaged(f'the values {one_line(name)} are missing in it') from None
            if needed > entry.file_size:
                raise Damaged(f'the values {one_line(name)} are cut off')
            content = _reserve(entry.file_size)
            with self.archive.open(entry) as part:
                _fill(part, content)
                if part.read(1):  # which also verifies the checksum
                    raise Damaged(f'the values {one_line(name)} are longer than it says')
            self.storages[name] = content
        if needed > self.storages[name].numel():
            raise Damaged(f'the values {one_line(name)} are cut off')
        return Storage(self.storages[name], kind.dtype)


class _Legacy:
    """A file of `torch.save` before PyTorch 1.6: pickles one after the other, and then the storages."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size, self.declared = file, size, 0
        self.storages: Dict[str, Storage] = {}

    def read(self) -> object:
        if self._pickle() != LEGACY_MAGIC:
            raise Damaged('it is a pickle, but not one that torch.save has written')
        self._pickle()  # the version
        machine = self._pickle()
        if not isinstance(machine, dict) or machine.get('little_endian') is not True:
            raise Damaged(FOREIGN_ORDER)
        found = read_pickle(_Rest(self.file, self.size), self.size, self.storage)
        keys = self._pickle()
        if type(keys) is not list or any(type(key) is not str for key in keys) or sorted(keys) != sorted(self.storages):
            raise Damaged('its list of values does not fit them')
        for key in keys:
            content, dtype = self.storages[key]
            if int.from_bytes(self.file.read(8), 'little') * _itemsize(StorageType(dtype)) != content.numel():
                raise Damaged(f'the values {one_line(key)} are not as many as it says')
            _fill(self.file, content)
        if self.file.read(1):
            raise Damaged('it goes on behind its end')
        return found

    def storage(self, key: tuple) -> Storage:
        if len(key) == 6 and key[5] is not None:
            raise Damaged('it holds views of storages, which PyTorch 0.4 and before wrote. Save it anew with a later one')
        kind, name, count = _storage_key(key[:5])
        if name not in self.storages:
            needed = count * _itemsize(kind)
            self.declared += needed
            if self.declared > self.size:
                raise Damaged('it ends too early')
            self.storages[name] = Storage(_reserve(needed), kind.dtype)
        found = self.storages[name]
        if found.dtype != kind.dtype or found.bytes.numel() != count * _itemsize(kind):
            raise Damaged(f'the values {one_line(name)} are described in two ways')
        return found

    def _pickle(self) -> object:
        return read_pickle(_Rest(self.file, self.size), self.size)


class _Rest:
    """A file that is not asked for more than it has: Python reserves the memory for what it is asked for."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size

    def tell(self) -> int:
        return self.file.tell()

    def read(self, count: int) -> bytes:
        return self.file.read(min(count, self.size))

    def readline(self) -> bytes:
        return self.file.readline()


def _storage_key(key: tuple) -> tuple:
    """Kind, name and number of values of the storage that a pickle speaks of."""
    if len(key) != 5 or key[0] != 'storage' or not isinstance(key[1], StorageType) or type(key[2]) is not str \
            or type(key[4]) is not int or not 0 <= key[4] < 1 << 62:
        raise Damaged('its pickle speaks of values in an unknown way')
    return key[1], key[2], key[4]


def _itemsize(kind: StorageType) -> int:
    return 1 if kind.dtype is None else torch.empty((), dtype=kind.dtype).element_size()


def _reserve(size: int) -> torch.Tensor:
    try:
        return torch.empty(size, dtype=torch.uint8)
    except RuntimeError as error:
        raise MemoryError from error


def _fill(file: BinaryIO, content: torch.Tensor) -> None:
    view = memoryview(content.numpy())
    while len(view):
        got = file.readinto(view[:1 << 22])
        if not got:
            raise Damaged('it ends too early')
        view = view[got:]


def one_line(text: object) -> str:
    """What others wrote, fit for a line of a message."""
    text = ' '.join(''.join(letter if letter.isprintable() else ' ' for letter in str(text)).split())
    return text if len(text) <= 300 else f'{text[:300]}...'
