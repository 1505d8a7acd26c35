"""Pickles read as data: an interpreter of their instructions that knows what checkpoints hold, and calls nothing else.

Names in a pickle stand for functions and classes. Here they stay names, until one of the table below is used as
training scripts use it; then this module builds the value itself. So no function of a file's choice is called, no class
is looked up, and nothing that outlives the file can be changed. What is built takes no more memory than the file has.
"""
import argparse
import math
import pickletools
import re
from collections import OrderedDict
from typing import BinaryIO, Callable, Dict, List, NamedTuple, Optional, Tuple

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor

SMALL = 1 << 20
"""Values that a tensor may have beyond those that are stored, as expanded tensors do."""
LARGEST_KEY = 1 << 60
"""Of dicts' numbers. Python hashes those below it to themselves."""
MOST_INSTRUCTIONS = 10_000_000
"""Of a pickle. Those of large checkpoints, optimizer and all, have some 100,000; as many as these take seconds."""


class Refused(Exception):
    """A pickle asks for more than data."""


class Damaged(Exception):
    """A pickle contradicts itself or the file that it is in."""


class Name(NamedTuple):
    """A function or a class of which a pickle speaks; nothing is looked up."""
    path: str


class StorageType(NamedTuple):
    """What the numbers of a storage are; None for bytes whose tensors say it."""
    dtype: Optional[torch.dtype]


class Storage(NamedTuple):
    """Bytes that tensors are views of: (n, ) uint8, and what numbers they are."""
    bytes: Tensor
    dtype: Optional[torch.dtype]


class _Unfinished:
    """A value that a later instruction completes, and the places of the memo that have to be told."""

    def __init__(self, finish: Callable, value: object = None) -> None:
        self.finish = finish
        self.value = value
        self.places: List[int] = []


def read_pickle(file: BinaryIO, limit: int, storage: Optional[Callable[[tuple], Storage]] = None) -> object:
    """The data in the pickle that begins where a file stands; the file then stands behind it.

    Args:
        file: Its ``read`` must not reserve memory for more than there is.
        limit: Bytes of the whole file, and of copies that the pickle may ask for.
        storage: Gives the storage that the pickle names, for what `torch.save` writes about one.

    Raises:
        Refused, Damaged: What the pickle asks for can't be had.
    """
    return _Interpreter(limit, storage).run(file)


class _Interpreter:

    def __init__(self, limit: int, storage: Optional[Callable[[tuple], Storage]]) -> None:
        self.limit = limit
        self.storage = storage
        self.stack: List[object] = []
        self.outer: List[List[object]] = []  # the stacks below marks
        self.memo: Dict[int, object] = {}

    def run(self, file: BinaryIO) -> object:
        try:
            for number, (instruction, argument, _) in enumerate(pickletools.genops(file)):
                if instruction.name == 'STOP':
                    return self.pop()
                if number > MOST_INSTRUCTIONS:
                    raise Damaged(f'its pickle has more than {MOST_INSTRUCTIONS:,} instructions; no checkpoint has')
                self.step(instruction.name, argument)
        except (ValueError, OverflowError) as error:  # from decoding an instruction
            raise Damaged(f'its pickle is not readable: {error}') from error
        raise Damaged('its pickle ends too early')

    def step(self, name: str, argument: object) -> None:
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _LITERALS:
            self.stack.append(argument)
        elif name in ('PROTO', 'FRAME'):
            pass
        elif name == 'MARK':
            self.outer.append(self.stack)
            self.stack = []
        elif name in ('PUT', 'BINPUT', 'LONG_BINPUT', 'MEMOIZE'):
            place = len(self.memo) if name == 'MEMOIZE' else _key(argument)
            self.memo[place] = top = self.top()
            if isinstance(top, _Unfinished):
                top.places.append(place)
        elif name in ('GET', 'BINGET', 'LONG_BINGET'):
            if argument not in self.memo:
                raise Damaged('its pickle uses a value that it does not hold')
            self.stack.append(self.memo[argument])
        elif name in ('GLOBAL', 'STACK_GLOBAL'):
            if name == 'GLOBAL':
                module, _, path = argument.partition(' ')
            else:
                module, path = self.pop(2)
            self.stack.append(_named(module, path))
        elif name in ('REDUCE', 'NEWOBJ', 'NEWOBJ_EX'):
            function, args, *options = self.pop(3 if name == 'NEWOBJ_EX' else 2)
            if options and options != [{}]:
                raise Refused('an object made with named arguments')
            self.stack.append(self.call(function, args))
        elif name == 'INST':
            self.stack.append(self.call(_named(*argument.split(' ', 1)), tuple(self.pop_mark())))
        elif name == 'OBJ':
            function, *args = self.pop_mark() or [None]
            self.stack.append(self.call(function, tuple(args)))
        elif name == 'BUILD':
            self.build(*self.pop(2))
        elif name in ('BINPERSID', 'PERSID'):
            key = self.pop() if name == 'BINPERSID' else argument
            if self.storage is None or type(key) is not tuple:
                raise Refused('a reference to something outside of it')
            self.stack.append(self.storage(key))
        elif name in ('TUPLE1', 'TUPLE2', 'TUPLE3'):
            self.stack.append(tuple(self.pop(int(name[-1]), always_list=True)))
        elif name in ('TUPLE', 'LIST', 'FROZENSET'):
            items = self.pop_mark()
            self.stack.append(dict(TUPLE=tuple, LIST=list, FROZENSET=_set)[name](items))
        elif name == 'DICT':
            items = self.pop_mark()
            self.stack.append({})
            self.set_items(items)
        elif name in ('APPEND', 'APPENDS'):
            items = self.pop_mark() if name == 'APPENDS' else [self.pop()]
            self.target(list).extend(items)
        elif name == 'ADDITEMS':
            items = self.pop_mark()
            self.target(set).update(_set(items))
        elif name in ('SETITEM', 'SETITEMS'):
            self.set_items(self.pop_mark() if name == 'SETITEMS' else self.pop(2))
        elif name == 'POP':
            self.pop()
        elif name == 'POP_MARK':
            self.pop_mark()
        elif name == 'DUP':
            self.stack.append(self.top())
        else:
            raise Refused(f'the instruction {name}')

    def top(self) -> object:
        if not self.stack:
            raise Damaged('its pickle takes more than it has put down')
        return self.stack[-1]

    def pop(self, count: int = 1, always_list: bool = False):
        if len(self.stack) < count:
            raise Damaged('its pickle takes more than it has put down')
        items = self.stack[-count:]
        del self.stack[-count:]
        return items if count > 1 or always_list else items[0]

    def pop_mark(self) -> List[object]:
        if not self.outer:
            raise Damaged('its pickle ends a group that it has not begun')
        items, self.stack = self.stack, self.outer.pop()
        return items

    def target(self, *kinds: type):
        """What lies on top, to be filled."""
        target = self.top()
        if type(target) not in kinds:
            raise Refused(f'a {_describe(target)} that is filled as a {kinds[0].__name__} is')
        return target

    def set_items(self, items: List[object]) -> None:
        if len(items) % 2:
            raise Damaged('its pickle has a key without a value')
        target = self.target(dict, OrderedDict)
        for key, value in zip(items[::2], items[1::2]):
            target[_key(key)] = value

    def call(self, function: object, args: object) -> object:
        if not isinstance(function, Name) or type(args) is not tuple:
            raise Refused(f'a call of a {_describe(function)}')
        build = _CALLS.get(function.path)
        if build is None:
            raise Refused(function.path)
        return build(self, *args) if _takes(build, len(args)) else self.wrong(function.path)

    def build(self, target: object, state: object) -> None:
        if isinstance(target, _Unfinished):
            if target.finish is None:
                raise Damaged('its pickle completes a value twice')
            value, target.finish = target.finish(self, state), None
            for place in target.places:
                if self.memo.get(place) is target:
                    self.memo[place] = value
            self.stack.append(value)
        elif type(target) is OrderedDict:  # a state dict's versions of modules; nothing else is kept
            modules = state.get('_metadata') if type(state) is dict else None
            if isinstance(modules, dict):
                target._metadata = OrderedDict((name, dict(version=entry['version'])) for name, entry in modules.items()
                                               if type(entry) is dict and type(entry.get('version')) is int)
                self.spend(len(modules))
            self.stack.append(target)
        elif type(target) in (dict, Tensor):  # attributes of a node of yacs, and of a tensor
            self.stack.append(target)
        else:
            raise Refused(f'a {_describe(target)} with a state of its own')

    def spend(self, size: int) -> None:
        """Counts a copy that the pickle asks for: a few instructions could else fill the memory."""
        self.limit -= size
        if self.limit < 0:
            raise Damaged('its pickle asks for more memory than the file has')

    def wrong(self, path: str):
        raise Damaged(f'its pickle has a {path} that is not as PyTorch, NumPy and MMEngine write it')

    # What the names in a checkpoint stand for.

    def ordered_dict(self, pairs: object = ()) -> OrderedDict:
        if type(pairs) not in (list, tuple) or any(type(pair) not in (list, tuple) or len(pair) != 2 for pair in pairs):
            self.wrong('collections.OrderedDict')
        self.spend(len(pairs))
        return OrderedDict((_key(key), value) for key, value in pairs)

    def counter(self, counts: object = None) -> dict:
        self.spend(len(counts) if type(counts) is dict else 0)
        return dict(counts) if type(counts) is dict else {}

    def set(self, items: object = ()) -> set:
        if type(items) not in (list, tuple):
            self.wrong('builtins.set')
        self.spend(len(items))
        return set(_set(items))

    def frozenset(self, items: object = ()) -> frozenset:
        return frozenset(self.set(items))

    def complex(self, real: object, imag: object) -> complex:
        return complex(real, imag) if {type(real), type(imag)} <= {int, float} else self.wrong('builtins.complex')

    def encode(self, text: object, codec: object = 'utf-8') -> bytes:
        if type(text) is not str or codec not in ('latin1', 'latin-1', 'ascii', 'utf-8', 'utf8'):
            self.wrong('_codecs.encode')
        self.spend(len(text))
        return text.encode(codec)

    def bytes(self, content: object = b'', codec: object = 'latin1') -> bytes:
        return content if type(content) in (bytes, bytearray) else self.encode(content, codec)

    def namespace(self) -> _Unfinished:

        def finish(self, state):
            if type(state) is not dict or not all(type(key) is str for key in state):
                self.wrong('argparse.Namespace')
            self.spend(len(state))
            found = argparse.Namespace()
            vars(found).update(state)
            return found

        return _Unfinished(finish)

    def settings(self, pairs: object = None) -> dict:
        return {}

    def reconstructor(self, cls: object, base: object, state: object):
        """How objects are made in pickles of protocols 0 and 1."""
        if not isinstance(cls, Name) or cls.path not in _RECORDS:
            raise Refused(f'an object of {cls.path}' if isinstance(cls, Name) else f'an object of a {_describe(cls)}')
        if type(state) is dict and type(base) is Name and base.path == 'builtins.dict':
            return state
        return _CALLS[cls.path](self)

    def history(self) -> _Unfinished:

        def finish(self, state):
            keys = 'max_length', '_log_history', '_count_history'
            length, *histories = [state.get(key) if type(state) is dict else None for key in keys]
            fit = type(length) is int and length > 0 and all(
                type(history) is np.ndarray and history.ndim == 1 and history.dtype.kind in 'iufb' for history in histories)
            if not fit or len(histories[0]) != len(histories[1]):
                self.wrong('mmengine HistoryBuffer')
            self.spend(sum(history.nbytes for history in histories))
            return HistoryBuffer(*histories, length)

        return _Unfinished(finish)

    def statistic(self, owner: object, name: object) -> Name:
        """``getattr``, with which mmengine saves the four statistics of a HistoryBuffer; they are not restored."""
        if owner != Name(_HISTORY) or name not in _STATISTICS:
            raise Refused(f'getattr of {owner.path if isinstance(owner, Name) else "a " + _describe(owner)}')
        return Name(f'{_HISTORY}.{name}')

    def np_dtype(self, code: object, align: object = False, copy: object = True) -> _Unfinished:
        if type(code) is not str or not re.fullmatch(r'[iu][1248]|f[248]|c8|c16|b1|\?', code):
            raise Refused('NumPy values that are no plain numbers')
        dtype = np.dtype(code)

        def finish(self, state):
            if type(state) is not tuple or len(state) < 2 or state[1] not in ('<', '>', '|', '='):
                self.wrong('numpy.dtype')
            return dtype if state[1] in '|=' else dtype.newbyteorder(state[1])

        return _Unfinished(finish, dtype)

    def np_scalar(self, dtype: object, content: object) -> np.generic:
        dtype = getattr(dtype, 'value', dtype)
        if not isinstance(dtype, np.dtype) or type(content) is not bytes or len(content) != dtype.itemsize:
            self.wrong('numpy scalar')
        return np.frombuffer(content, dtype)[0]

    def np_array(self, cls: object, shape: object, kind: object) -> _Unfinished:
        if cls != Name('numpy.ndarray'):
            self.wrong('numpy array')

        def finish(self, state):
            if type(state) is not tuple or len(state) != 5:
                self.wrong('numpy array')
            _, shape, dtype, fortran, content = state
            return self.np_values(content, dtype, shape, 'F' if fortran else 'C')

        return _Unfinished(finish)

    def np_values(self, content: object, dtype: object, shape: object, order: object) -> np.ndarray:
        dtype = getattr(dtype, 'value', dtype)
        if not isinstance(dtype, np.dtype) or type(content) not in (bytes, bytearray) or not _is_size(shape) \
                or math.prod(shape) * dtype.itemsize != len(content) or order not in ('C', 'F') \
                or math.prod(max(side, 1) for side in shape) > 1 << 40 or len(shape) > 32:
            self.wrong('numpy array')
        return np.frombuffer(content, dtype).reshape(shape, order=order) if content else np.empty(shape, dtype, order)

    def size(self, sides: object = ()) -> tuple:
        return sides if _is_size(sides) else self.wrong('torch.Size')

    def device(self, kind: object, index: object = None) -> str:
        return str(kind)[:100] if index is None else f'{str(kind)[:100]}:{str(index)[:100]}'

    def layout(self, name: object) -> str:
        return str(name)[:100]

    def tensor(self, storage, offset, size, stride, requires_grad=False, hooks=None, metadata=None) -> Tensor:
        return self.view(storage, offset, size, stride, getattr(storage, 'dtype', None))

    def tensor_of_type(self, storage, offset, size, stride, requires_grad, hooks, dtype, metadata=None) -> Tensor:
        return self.view(storage, offset, size, stride, dtype)

    def view(self, storage: object, offset: object, size: object, stride: object, dtype: object) -> Tensor:
        right = isinstance(storage, Storage) and isinstance(dtype, torch.dtype) and _is_size(size) and _is_size(stride) \
            and len(size) == len(stride) and _is_size((offset, ))
        if not right:
            self.wrong('tensor')
        itemsize = torch.empty((), dtype=dtype).element_size()
        stored, count = storage.bytes.numel() // itemsize, math.prod(size)
        if count and offset + sum((side - 1) * step for side, step in zip(size, stride)) >= stored:
            raise Damaged('a tensor is larger than what is stored of it')
        if count > max(stored, SMALL):
            raise Refused('a tensor that repeats its values a million times')
        return torch.empty(0, dtype=dtype).set_(storage.bytes.untyped_storage(), offset, size, stride)

    def parameter(self, data: object, requires_grad: object = True, hooks: object = None, state: object = None) -> Tensor:
        return data if isinstance(data, Tensor) else self.wrong('torch.nn.Parameter')

    def tensor_with_attributes(self, function: object, cls: object, args: object, state: object) -> Tensor:
        if not isinstance(function, Name) or function.path not in _TENSORS or not isinstance(cls, Name) \
                or cls.path not in ('torch.Tensor', 'torch.nn.parameter.Parameter'):
            raise Refused('a tensor of a class of its own')
        return self.call(function, args)


_HISTORY = 'mmengine.logging.history_buffer.HistoryBuffer'
_STATISTICS = 'min', 'max', 'mean', 'current'
_RECORDS = 'argparse.Namespace', 'yacs.config.CfgNode', _HISTORY
"""Classes whose objects are read: settings that authors save beside their weights, mmengine's logs."""
_TENSORS = {
    'torch._utils._rebuild_tensor': _Interpreter.tensor, 'torch._utils._rebuild_tensor_v2': _Interpreter.tensor,
    'torch._utils._rebuild_tensor_v3': _Interpreter.tensor_of_type,
    'torch._utils._rebuild_parameter': _Interpreter.parameter,
    'torch._utils._rebuild_parameter_with_state': _Interpreter.parameter
}  # yapf: disable
_CALLS: Dict[str, Optional[Callable]] = {
    **_TENSORS,
    'torch._tensor._rebuild_from_type_v2': _Interpreter.tensor_with_attributes,
    'torch.Size': _Interpreter.size,
    'torch.device': _Interpreter.device,
    'torch.serialization._get_layout': _Interpreter.layout,
    'collections.OrderedDict': _Interpreter.ordered_dict,
    'collections.Counter': _Interpreter.counter,
    'builtins.set': _Interpreter.set,
    'builtins.frozenset': _Interpreter.frozenset,
    'builtins.complex': _Interpreter.complex,
    'builtins.bytearray': _Interpreter.bytes,
    'builtins.bytes': _Interpreter.bytes,
    'builtins.getattr': _Interpreter.statistic,
    '_codecs.encode': _Interpreter.encode,
    'copyreg._reconstructor': _Interpreter.reconstructor,
    'argparse.Namespace': _Interpreter.namespace,
    'yacs.config.CfgNode': _Interpreter.settings,
    _HISTORY: _Interpreter.history,
    'numpy.dtype': _Interpreter.np_dtype,
    **{f'numpy.{core}.multiarray.scalar': _Interpreter.np_scalar for core in ('core', '_core')},
    **{f'numpy.{core}.multiarray._reconstruct': _Interpreter.np_array for core in ('core', '_core')},
    **{f'numpy.{core}.numeric._frombuffer': _Interpreter.np_values for core in ('core', '_core')},
    # these are only spoken of
    **dict.fromkeys(('builtins.object', 'builtins.dict', 'numpy.ndarray', 'torch.Tensor', 'torch.nn.parameter.Parameter')),
    **dict.fromkeys(f'{_HISTORY}.{name}' for name in _STATISTICS),
}  # yapf: disable
_ARGUMENTS: Dict[Callable, Tuple[int, int]] = {}
for _call in filter(None, _CALLS.values()):
    _most = _call.__code__.co_argcount - 1
    _ARGUMENTS[_call] = _most - len(_call.__defaults__ or ()), _most

_DTYPES = {
    name: getattr(torch, name)
    for name in ('float16', 'bfloat16', 'float32', 'float64', 'complex32', 'complex64', 'complex128', 'uint8', 'int8',
                 'int16', 'int32', 'int64', 'bool', 'uint16', 'uint32', 'uint64', 'float8_e4m3fn', 'float8_e5m2')
    if hasattr(torch, name)
}
_STORAGES = {
    'Half': torch.float16, 'BFloat16': torch.bfloat16, 'Float': torch.float32, 'Double': torch.float64,
    'ComplexFloat': torch.complex64, 'ComplexDouble': torch.complex128, 'Byte': torch.uint8, 'Char': torch.int8,
    'Short': torch.int16, 'Int': torch.int32, 'Long': torch.int64, 'Bool': torch.bool, 'Untyped': None, '_Untyped': None
}  # yapf: disable
_OTHER_TENSORS = {
    '_rebuild_sparse_tensor': 'a sparse tensor', '_rebuild_sparse_csr_tensor': 'a sparse tensor',
    '_rebuild_qtensor': 'a quantized tensor', '_rebuild_nested_tensor': 'a nested tensor',
    '_rebuild_meta_tensor_no_storage': 'a tensor without values, of the meta device'
}  # yapf: disable

_CONSTANTS = dict(
    NONE=lambda: None, NEWTRUE=lambda: True, NEWFALSE=lambda: False, EMPTY_LIST=list, EMPTY_TUPLE=tuple, EMPTY_DICT=dict,
    EMPTY_SET=set)  # yapf: disable
_LITERALS = {
    'INT', 'BININT', 'BININT1', 'BININT2', 'LONG', 'LONG1', 'LONG4', 'FLOAT', 'BINFLOAT', 'STRING', 'BINSTRING',
    'SHORT_BINSTRING', 'UNICODE', 'SHORT_BINUNICODE', 'BINUNICODE', 'BINUNICODE8', 'BINBYTES', 'SHORT_BINBYTES',
    'BINBYTES8', 'BYTEARRAY8'
}
_OLD_MODULES = dict(__builtin__='builtins', copy_reg='copyreg')  # as protocols up to 2 name them


def _named(module: object, path: object) -> object:
    """What a name stands for: a `Name`, a dtype, or a type of storage."""
    if type(module) is not str or type(path) is not str:
        raise Refused('a name that is no text')
    module = _OLD_MODULES.get(module, module)
    if f'{module}.{path}' in _CALLS:
        return Name(f'{module}.{path}')
    if module == 'torch' and path in _DTYPES:
        return _DTYPES[path]
    if module in ('torch', 'torch.cuda', 'torch.storage') and path.removesuffix('Storage') in _STORAGES:
        return StorageType(_STORAGES[path.removesuffix('Storage')])
    if module == 'torch._utils' and path in _OTHER_TENSORS:
        raise Damaged(f'it holds {_OTHER_TENSORS[path]}, which can not be loaded. Save dense tensors')
    raise Refused(f'{module}.{path}')


def _takes(call: Callable, count: int) -> bool:
    least, most = _ARGUMENTS[call]
    return least <= count <= most


def _is_size(sides: object) -> bool:
    return type(sides) is tuple and len(sides) <= 64 and all(type(side) is int and 0 <= side < 1 << 62 for side in sides)


def _key(key: object) -> object:
    """A key that costs nothing to find: a file can choose many numbers with the same hash, but not texts."""
    kind = type(key)
    if kind in (str, bytes, bool) or key is None or kind in (int, float) and abs(key) < LARGEST_KEY \
            or kind is tuple and all(type(part) in (str, bytes) for part in key):
        return key
    raise Refused(f'a {_describe(key)} as a key')


def _set(items: List[object]) -> frozenset:
    return frozenset(map(_key, items))


def _describe(value: object) -> str:
    return type(value).__name__
