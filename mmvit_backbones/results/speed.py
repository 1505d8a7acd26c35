"""Measured speed: the files that ``tools/benchmark.py --json`` writes."""
import json
from pathlib import Path
from typing import Dict, NamedTuple, Union

from .published import ResultsError


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
        data = json.loads(Path(path).read_text(encoding='utf-8'))
        settings, machine = data['settings'], data['machine']
        height, width = settings['size']
        extras = [text for key, text in (('compile', 'compiled'), ('with_cp', 'checkpointed')) if settings[key]]
        conditions = ', '.join([
            f'{settings["mode"]}, batches of {settings["batch"]} x {height}x{width}, {settings["dtype"]}', *extras,
            machine.get('gpu') or f'{settings["device"]} ({machine["platform"]}, {machine["threads"]} threads)',
            f'torch {machine["torch"]}'
        ])
        keys = 'latency', 'images_per_second', 'peak_memory'
        return Speed(conditions, {row['name']: {key: float(row[key]) for key in keys} for row in data['rows']})
    except OSError as error:
        raise ResultsError(f'{path} could not be read: {error}') from error
    except (KeyError, TypeError, ValueError) as error:
        raise ResultsError(f'{path} is not a file that tools/benchmark.py --json writes, or it is damaged: {error!r}') from error
