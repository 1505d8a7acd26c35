"""Configs as mmengine dumps them into work directories, read as data: nothing in them is ever run."""
import ast
import math
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Dict, Iterator

from .published import ResultsError

MAX_BYTES, MAX_DEPTH, MAX_INTEGER = 2**20, 60, 2**63
_NAMES = dict(nan=math.nan, inf=math.inf)


def read_dumped(path: Path) -> Dict[str, object]:
    """Reads what `mmengine.Config.dump` writes: assignments of literals, lists, tuples, sets, dicts and ``dict(...)``.

    Args:
        path: A file of at most 1 MiB, nested at most 60 deep, with integers of at most 64 bits.

    Raises:
        ResultsError: It can't be read, or it holds anything else, such as code.
    """
    try:
        with open_regular(path) as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ResultsError(f'{path} is larger than {MAX_BYTES >> 20} MiB, which no config is')
        body = ast.parse(content.decode('utf-8')).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # the last two: nested too deep for Python
        reason = f'{error.msg}, line {error.lineno}' if isinstance(error, SyntaxError) else str(error) or 'nested too deep'
        raise ResultsError(f'{path} is not a config that mmengine dumped, or it is damaged: {reason}') from error
    settings = {}
    for node in body:
        if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name):
            raise _refused(node, path)
        settings[node.targets[0].id] = _value(node.value, path, 0)
    return settings


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Opens a file to read bytes; a folder or a device, at which a reader might wait for ever, is refused.

    Raises:
        ResultsError: It is none, or it can't be opened or read.
    """
    try:
        if path.exists() and not path.is_file():
            raise ResultsError(f'{path} must be a file, but is a folder or a device')
        with path.open('rb') as file:
            yield file
    except OSError as error:
        raise ResultsError(f'{path} could not be read: {error.strerror or error}') from error


def _value(node: ast.expr, path: Path, depth: int) -> object:
    if depth > MAX_DEPTH:
        raise ResultsError(f'{path}, line {node.lineno} is nested deeper than {MAX_DEPTH} levels, which no config is')

    def inner(part: ast.expr) -> object:
        return _value(part, path, depth + 1)

    if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, (str, bytes, float, int))):
        if isinstance(node.value, int) and node.value >= MAX_INTEGER:
            raise ResultsError(f'{path}, line {node.lineno} holds an integer of more than 64 bits, which no config does')
        return node.value
    if isinstance(node, ast.Name) and node.id in _NAMES:
        return _NAMES[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = inner(node.operand)
        if type(number) in (int, float):
            return -number
    elif isinstance(node, (ast.List, ast.Tuple)):
        items = [inner(item) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    elif isinstance(node, ast.Set) and all(isinstance(item, ast.Constant) for item in node.elts):
        return {inner(item) for item in node.elts}
    elif isinstance(node, ast.Dict) and all(isinstance(key, ast.Constant) for key in node.keys):
        return {inner(key): inner(value) for key, value in zip(node.keys, node.values)}
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        # dict(a=1), or dict({'a.b': 1}) where a key is not a name
        if not node.args and all(keyword.arg for keyword in node.keywords):
            return {keyword.arg: inner(keyword.value) for keyword in node.keywords}
        if not node.keywords and len(node.args) == 1 and isinstance(node.args[0], ast.Dict):
            return inner(node.args[0])
    raise _refused(node, path)


def _refused(node: ast.AST, path: Path) -> ResultsError:
    return ResultsError(f'{path}, line {node.lineno} holds {type(node).__name__}, where a config that mmengine dumped has '
                        'literals, dicts and lists alone; it is read as data, and code in it is not run')
