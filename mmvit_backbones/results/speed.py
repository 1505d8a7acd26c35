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
        rows: {name as in `list_backbones`: dict with latency (s a batch), images_per_second, peak_memory (bytes), and
            what else the file has}
        settings: The options of the tool: size, batch, mode, device, dtype, compile, with_cp, peer.
        machine: What they were made on, as a sentence.
    """
    conditions: str
    rows: Dict[str, Dict[str, Union[float, str]]]
    settings: dict
    machine: str


def read_speed(path: Union[str, Path]) -> Speed:
    """Reads what ``tools/benchmark.py --json`` has written.

    Raises:
        ResultsError: It is not such a file.
    """
    try:
        with open_regular(Path(path)) as file:
            data = json.loads(file.read(_MAX_BYTES).decode('utf-8'))
        settings, machine = dict(data['settings']), dict(data['machine'])
        settings['size'] = height, width = settings['size']
        settings.setdefault('peer', None)
        extras = [text for key, text in (('compile', 'compiled'), ('with_cp', 'checkpointed')) if settings[key]]
        what = [f'{settings["mode"]}, batches of {settings["batch"]} x {height}x{width}, {settings["dtype"]}', *extras]
        cpu = f'{machine["cpu"]}, {machine["cpus"]} CPUs, ' if 'cpu' in machine else ''
        device = str(machine.get('gpu') or f'{settings["device"]} ({cpu}{machine["platform"]}, {machine["threads"]} threads)')
        where = f'{device}, torch {machine["torch"]}'
        rows = {row['name']: {key: _value(key, value) for key, value in row.items() if key != 'name'} for row in data['rows']}
        if any(not {'latency', 'images_per_second', 'peak_memory'} <= row.keys() for row in rows.values()):
            raise KeyError('latency, images_per_second or peak_memory')
        return Speed(printable(', '.join([*what, where])), rows, settings, printable(where))
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ResultsError(f'{path} is not a file that tools/benchmark.py --json writes, or it is damaged: {error!r}') from error


def _value(key: str, value: object) -> Union[float, str]:
    if key == 'peer' and isinstance(value, str):
        return printable(value)
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f'expected a number, found {value!r}')
    return float(value)
