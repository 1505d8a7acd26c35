"""The document of measured speed."""
from pathlib import Path
from typing import Dict, List, Sequence

from .published import ResultsError
from .speed import Speed, read_speed
from .table import markdown_table, size_text

HEAD = (
    '# Speed\n\n'
    'Written by `python tools/compare.py --update-docs` from `docs/speed/*.json`, which `make speed` writes; '
    'not to be edited. Of the backbones alone, without detector or segmentor, and of each family the two '
    'variants that are nearest to 25 and to 85 million parameters.\n\n'
    'ms: the median time of a batch, whose runs took turns with a large matrix multiplication. of matmul: the '
    "share that the model's arithmetic reached of the rate of that multiplication; training counts the "
    'backward pass as twice the forward pass. peak: what the model and its run took of memory. with_cp: with '
    'activation checkpointing. On CPUs, freed memory stayed with the process (`keep_memory`, as in tools/test.py). '
    "times as fast: another package's time by ours, in one process, with the same "
    'weights, after both were seen to compute the same; difference: by how many standard deviations their '
    'levels differed at most.\n')
DEVICES = dict(cpu='CPUs', cuda='GPUs')
MODES = dict(infer='Inference', train='Training')
GOALS = {('infer', (800, 1216)): .7, ('train', (224, 224)): .6}
"""{(mode, size): the share of the rate of matrix multiplication that every family is to reach on CPUs}"""


def speed_document(folder: Path) -> str:
    """docs/speed.md, from the measurements in a folder.

    Raises:
        ResultsError: A file holds no measurements, or two hold those of the same conditions.
    """
    speeds = [read_speed(path) for path in sorted(folder.glob('*.json'))]
    parts = [HEAD]
    for device, title in DEVICES.items():
        parts.append(f'## On {title}\n')
        groups: Dict[tuple, List[Speed]] = {}
        for speed in speeds:
            if speed.settings['device'].split(':')[0] == device:
                same = (f'{key}={value}' for key, value in sorted(speed.settings.items()) if key not in ('names', 'runs', 'with_cp'))
                groups.setdefault((speed.machine, *same), []).append(speed)
        for group in groups.values():
            parts += _section(group)
        if not groups:
            parts.append(f'Not recorded yet: `make speed DEVICE={device}`, on a machine that does nothing else.\n')
    return '\n'.join(parts)


def _section(group: Sequence[Speed]) -> List[str]:
    """The paragraphs about measurements that differ in nothing but checkpointing."""
    found = {bool(speed.settings['with_cp']): speed for speed in group}
    if len(found) < len(group):
        raise ResultsError(f'Two files hold measurements under the same conditions: {group[0].conditions}. Remove one of them')
    speed = found.get(False, group[0])
    saving = found.get(True, speed).rows
    settings, peer = speed.settings, speed.settings['peer']
    titles = [
        MODES[settings['mode']], f' beside {peer}' if peer else '', f', {settings["batch"]} x {size_text(settings["size"])}',
        f', {settings["dtype"]}', ', compiled' if settings['compile'] else '', '' if False in found else ', with_cp'
    ]
    columns = {
        'params M': lambda row, other: f'{row["params"] / 1e6:.1f}',
        'GMACs': lambda row, other: f'{row["macs"] / 1e9:.1f}',
        'ms': lambda row, other: f'{row["latency"] * 1e3:.1f}',
        'images/s': lambda row, other: f'{row["images_per_second"]:.2f}',
        'of matmul': lambda row, other: f'{row["share_of_matmul_rate"]:.0%}',
        'peak MiB': lambda row, other: f'{row["peak_memory"] / 2**20:.0f}',
    }
    if len(found) == 2:
        columns['with_cp: ms'] = lambda row, other: f'{other["latency"] * 1e3:.1f}' if other else ''
        columns['with_cp: peak MiB'] = lambda row, other: f'{other["peak_memory"] / 2**20:.0f}' if other else ''
    if peer:
        columns[f'{peer} ms'] = lambda row, other: f'{row["peer_latency"] * 1e3:.1f}'
        columns['times as fast'] = lambda row, other: f'{row["peer_latency"] / row["latency"]:.2f}'
        columns['difference'] = lambda row, other: f'{row["difference"]:.0e}'
        columns['as'] = lambda row, other: f'`{row["peer"]}`'
    lines = [[f'`{name}`', *(text(row, saving.get(name)) for text in columns.values())] for name, row in speed.rows.items()]
    table = markdown_table(['backbone', *columns], lines, ['left'] + ['right'] * len(columns))
    parts = [f'### {"".join(titles)}\n', f'{speed.machine}.\n', f'{table}\n']
    goal = GOALS.get((settings['mode'], tuple(settings['size'])))
    if goal and settings['device'] == 'cpu' and not peer:
        below = [f'`{name}`' for name, row in speed.rows.items() if row['share_of_matmul_rate'] < goal]
        parts.append(f'The goal is {goal:.0%} of the rate of matrix multiplication. Below it: {", ".join(below) or "none"}.\n')
    return parts
