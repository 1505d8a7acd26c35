"""Own runs, read from the work directories that mmengine leaves behind."""
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from mmengine.config import Config

from .dumped import open_regular, read_dumped
from .published import ResultsError

METRICS = {'coco/bbox_mAP': ('box_ap', 100), 'coco/segm_mAP': ('mask_ap', 100), 'mIoU': ('miou', 1)}
"""{metric as mmengine logs it: (its name here, factor to percent)}"""
_PLACES = 'work_dir', 'launcher', 'resume', 'code', 'local_rank', 'model_wrapper_cfg'
_WORKERS = 'num_workers', 'persistent_workers', 'pin_memory', 'prefetch_factor'
"""Settings of a run that say where and how it runs, not what it trains: at the root of a config, and anywhere."""
_TTA = 'SegTTAModel', 'DetTTAModel'
_MAX_LINE = 2**20  # bytes; mmengine's lines have some hundred


@dataclass(frozen=True)
class Run:
    """What one work directory holds, over all its interruptions.

    Attributes:
        work_dir: The folder.
        config: Name of its config, without folder and ending.
        iterations: That it has trained.
        length: Of the whole training, in epochs or iterations, and what it counts: (12, 'epochs').
        progress: Of these, how many are done.
        last, best: Scores in percent by name, of the last evaluation and of each score's best one: box_ap, mask_ap,
            miou, and miou_ms for an evaluation with test-time augmentation.
        changes: How its settings differ from this package's config, 'key: ours -> its'.
        code: The package's version and git state; None for runs of another training script.
    """
    work_dir: Path
    config: str
    iterations: int
    length: Tuple[int, str]
    progress: int
    last: Dict[str, float]
    best: Dict[str, float]
    changes: Tuple[str, ...]
    code: Optional[str]

    @property
    def finished(self) -> bool:
        return self.progress >= self.length[0]

    @property
    def state(self) -> str:
        """How far it is, such as '8 of 12 epochs'."""
        return f'{self.progress} of {self.length[0]} {self.length[1]}'


def find_logs(work_dir: Union[str, Path]) -> List[Path]:
    """The folders of logs in a work directory, one for each start, the oldest first; none where nothing was started."""
    return sorted(path.parent.parent for path in Path(work_dir).glob('*/vis_data/config.py'))


def find_runs(paths: Sequence[Union[str, Path]]) -> List[Path]:
    """The work directories among some folders and their subfolders.

    Raises:
        ResultsError: A folder does not exist, or neither it nor a subfolder of it holds a log.
    """
    found = []
    for path in map(Path, paths):
        try:
            if not path.is_dir():
                raise ResultsError(f'There is no work directory {path}')
            runs = [folder for folder in (path, *sorted(path.iterdir())) if find_logs(folder)]
        except OSError as error:
            raise ResultsError(f'The work directory {path} could not be read: {error}') from error
        if not runs:
            raise ResultsError(f'{path} holds no log of a run: expected <time>/vis_data/scalars.json, which mmengine '
                               'writes, in it or in a folder of it')
        found += runs
    return found


def read_run(work_dir: Union[str, Path], configs: Union[str, Path]) -> Run:
    """Reads a work directory.

    Args:
        work_dir: The folder.
        configs: Folder of this package's configs.

    Raises:
        ResultsError: There is no log, it is damaged, it is not of a config in ``configs``, or it is of a config that
            has the name of one but another model.
    """
    work_dir, configs = Path(work_dir), Path(configs)
    parts = find_logs(work_dir)
    if not parts:
        raise ResultsError(f'{work_dir} holds no log of a run: expected <time>/vis_data/config.py, which mmengine writes')
    names = sorted(path.stem for path in work_dir.glob('*.py'))
    known = [name for name in names if (configs / f'{name}.py').is_file()]
    if len(known) != 1:
        raise ResultsError(f'{work_dir} must hold the copy of one config of {configs}, by which its rows are found, but '
                           f'holds {printable(", ".join(names)) or "none"}')
    name, = known
    ours, trained = Config.fromfile(configs / f'{name}.py').to_dict(), None
    iterations, epochs, last, best = 0, 0, {}, {}
    for part in parts:
        path = part / 'vis_data' / 'config.py'
        its = read_dumped(path)
        model = _table(its, 'model', path)
        tta = model.get('type') in _TTA
        if tta:
            model = its['model'] = _table(model, 'module', path)
        backbone = _table(model, 'backbone', path)
        for key in ('type', 'arch'):
            found, expected = (config.get(key) for config in (backbone, ours['model']['backbone']))
            if any(_differences(expected, found, key)):
                raise ResultsError(f'{part} holds a log of another config than {name}: its backbone has {key}={found!r}, '
                                   f'not {expected!r}')
        for line in _lines(part / 'vis_data' / 'scalars.json'):
            if 'loss' in line.values:
                iterations, epochs, trained = line.count('step'), line.count('epoch', 0), its
                length = training_length(its, path)
            line.score(METRICS, last, best)
        for line in _lines(part / f'{part.name}.json'):
            line.score({'mIoU': ('miou_ms', 1)} if tta else METRICS, last, best)
    if trained is None:
        raise ResultsError(f'{work_dir} holds no log of a training run, only of evaluations or of runs that did not start')
    code = trained.get('code')
    return Run(work_dir, name, iterations, length, epochs if length[1] == 'epochs' else iterations, last, best,
               tuple(map(printable, _changes(ours, trained))), None if code is None else printable(str(code)))


def printable(text: str) -> str:
    """A text of a file on one line: line breaks, control characters and what can't be encoded become their escapes."""
    return ''.join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def shown(value: object) -> str:
    """A value of a file in a message: short, on one line."""
    return f'a {type(value).__name__}' if isinstance(value, (dict, list, tuple, set)) else repr(value)[:80]


def training_length(settings: Union[dict, Config], path: Path) -> Tuple[int, str]:
    """How long a config trains, and in what that is counted: (12, 'epochs').

    Args:
        settings: The config.
        path: Where it stands, for the message.

    Raises:
        ResultsError: It does not say.
    """
    loop = _table(settings, 'train_cfg', path)
    for key, unit in (('max_epochs', 'epochs'), ('max_iters', 'iterations')):
        if loop.get(key) is not None:
            if type(loop[key]) is not int or loop[key] < 1:
                raise ResultsError(f'{path}: train_cfg.{key} must be a whole number above 0, but is {shown(loop[key])}')
            return loop[key], unit
    raise ResultsError(f'{path}: train_cfg must hold max_epochs or max_iters, which say how long the training is')


def _table(settings: Union[dict, Config], key: str, path: Path) -> dict:
    found = settings.get(key)
    if not isinstance(found, dict):
        raise ResultsError(f'{path}: {key} must be a dict, but is {"missing" if found is None else shown(found)}')
    return found


class _Line(NamedTuple):
    """A line of a log, and where it stands."""
    values: dict
    where: str

    def count(self, key: str, default: Optional[int] = None) -> int:
        """A number of iterations or epochs."""
        found = self.values.get(key, default)
        if type(found) is not int or found < 0:
            raise self._wrong(key, 'a whole number')
        return found

    def score(self, metrics: Dict[str, Tuple[str, int]], last: Dict[str, float], best: Dict[str, float]) -> None:
        """Puts its scores into ``last`` and ``best``."""
        for metric, (key, factor) in metrics.items():
            if metric in self.values:
                found = self.values[metric]
                if type(found) not in (int, float) or not abs(found) * factor <= 100:  # COCO's -1: nothing to find
                    raise self._wrong(metric, f'a number up to {100 // factor}')
                last[key] = found * factor
                best[key] = max(best.get(key, last[key]), last[key])

    def _wrong(self, key: str, expected: str) -> ResultsError:
        found = f'is {shown(self.values[key])}' if key in self.values else 'is missing'
        return ResultsError(f'{self.where}: {key} must be {expected}, but {found}')


def _lines(path: Path) -> Iterator[_Line]:
    """The lines of a log, if there is one; a last line that a killed run has left unfinished does not count."""
    if not os.path.lexists(path):
        return
    with open_regular(path) as file:
        for number, text in enumerate(iter(lambda: file.readline(_MAX_LINE), b''), 1):
            where = f'{path}, line {number}'
            if len(text) == _MAX_LINE:
                raise ResultsError(f'{where} is longer than {_MAX_LINE >> 20} MiB, which no line of a log is')
            if not text.strip():
                continue
            try:
                values = json.loads(text.decode('utf-8'))
                if not isinstance(values, dict):
                    raise ValueError('expected an object')
            except (ValueError, RecursionError) as error:  # the second: nested too deep
                if not text.endswith(b'\n'):
                    break
                raise ResultsError(f'{where} is damaged: {error}') from error
            yield _Line(values, where)


def _changes(ours: dict, its: dict) -> Iterator[str]:
    roots = set()
    for key, old, new in _differences(ours, its, ''):
        first, last = key.split('.')[0], key.rsplit('.', 1)[-1]
        if first in _PLACES or last in _WORKERS:
            continue
        if last in ('data_root', 'ann_file') and isinstance(old, str) and isinstance(new, str):
            while old and new and old[-1] == new[-1]:  # what follows the root is the same
                old, new = old[:-1], new[:-1]
            if (old, new) in roots:
                continue
            roots.add((old, new))
            key = 'data'
        yield f'{key}: {old} -> {new}'


def _differences(ours: object, its: object, path: str) -> Iterator[Tuple[str, object, object]]:
    if isinstance(ours, dict) and isinstance(its, dict):
        for key in sorted({*ours, *its}, key=str):
            inner = f'{path}.{key}' if path else str(key)
            yield from _differences(ours.get(key, 'not set'), its.get(key, 'not set'), inner)
    elif isinstance(ours, (list, tuple)) and isinstance(its, (list, tuple)) and len(ours) == len(its) \
            and any(isinstance(item, dict) for item in ours):
        for i, pair in enumerate(zip(ours, its)):
            yield from _differences(*pair, f'{path}.{i}')
    elif (list(ours) if isinstance(ours, tuple) else ours) != (list(its) if isinstance(its, tuple) else its):
        yield path, ours, its
