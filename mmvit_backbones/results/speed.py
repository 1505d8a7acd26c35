"""Measured speed: the files that ``tools/benchmark.py --json`` writes."""
import json
import math
from pathlib import Path
from typing import Dict, NamedTuple, Union

from .dumped import open_regular
from .published import ResultsError
from .runs import printable

_MAX_BYTES = 2**24


class Speed(NamedTuple):
    """Measurements of backbones, without detector or segmentor.

    Attributes:
        conditions: Under which all of them were made, as a sentence.
        rows: {name as in `list_backbones`: dict with latency (s a batch), images_per_second and peak_memory (bytes)}
    """
    conditions: str
    rows: Dict[str, Dict[str, float]]


def read_speed(path: Union[str, Path]) -> Speed:
    """Reads what ``tools/benchmark.py --json`` has written.

    Raises:
        ResultsError: It is not such a file.
    """
    try:
        with open_regular(Path(path)) as file:
            data = json.loads(file.read(_MAX_BYTES).decode('utf-8'))
        settings, machine = dict(data['settings']), dict(data['machine'])
        height, width = settings['size']
        extras = [text for key, text in (('compile', 'compiled'), ('with_cp', 'checkpointed')) if settings[key]]
        conditions = ', '.join([
            f'{settings["mode"]}, batches of {settings["batch"]} x {height}x{width}, {settings["dtype"]}', *extras,
            str(machine.get('gpu') or f'{settings["device"]} ({machine["platform"]}, {machine["threads"]} threads)'),
            f'torch {machine["torch"]}'
        ])
        rows = {row['name']: {key: _amount(row[key]) for key in ('latency', 'images_per_second', 'peak_memory')} for row in data['rows']}
        return Speed(printable(conditions), rows)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ResultsError(f'{path} is not a file that tools/benchmark.py --json writes, or it is damaged: {error!r}') from error


def _amount(value: object) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f'expected a number, found {value!r}')
    return float(value)
