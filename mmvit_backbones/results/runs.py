"""Own runs, read from the work directories that mmengine leaves behind."""
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from mmengine.config import Config

from .dumped import open_regular, read_dumped
from .published import FAMILIES, Result, ResultsError, load_results
from .settings import Recipe, read_pretrain, read_recipe, shown, table_of, training_length

METRICS = {
    'coco/bbox_mAP': ('box_ap', 100), 'coco/segm_mAP': ('mask_ap', 100), 'mIoU': ('miou', 1),
    'accuracy/top1': ('top1', 1), 'accuracy/top5': ('top5', 1)
}  # yapf: disable
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
        name: Of its config, without folder and ending.
        config: Of this package, the config that it is compared with: its own, or the one of the published row that has its
            backbone, method, schedule and pre-training; None where there is neither.
        recipe: What it trained.
        weights: What was evaluated, where nothing was trained.
        iterations: That it has trained.
        length: Of the whole training, in epochs or iterations, and what it counts: (12, 'epochs').
        progress: Of these, how many are done.
        last, best: Scores in percent by name, of the last evaluation and of each score's best one: box_ap, mask_ap,
            miou, miou_ms for an evaluation with test-time augmentation, top1, top5.
        changes: How its settings differ from ``config``, else from the one with its name, 'key: ours -> its'; None where this
            package has neither, or nothing was trained.
        code: The package's version and git state; None for runs of another training script.
    """
    work_dir: Path
    name: str
    config: Optional[str]
    recipe: Recipe
    weights: Optional[str]
    iterations: int
    length: Tuple[int, str]
    progress: int
    last: Dict[str, float]
    best: Dict[str, float]
    changes: Optional[Tuple[str, ...]]
    code: Optional[str]

    @property
    def finished(self) -> bool:
        return self.progress >= self.length[0]

    @property
    def state(self) -> str:
        """How far it is, such as '8 of 12 epochs', or what was evaluated."""
        return f'{self.progress} of {self.length[0]} {self.length[1]}' if self.weights is None else f'weights {self.weights}'

    def belongs_to(self, row: Result) -> bool:
        """Whether it stands beside a row: that of its config, or the one with its backbone, method, schedule and
        pre-training. Weights that are evaluated belong to their backbone, however they were trained."""
        if row.config and self.config == row.config:
            return True
        return self.config is None and self.recipe.fits(row, schedule=self.weights is None)


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
        ResultsError: There is no log, it is damaged, it is not of one config, it has the name of one in ``configs`` but a
            backbone that is neither this one's nor one of `list_backbones`, or its logs are of several models.
    """
    work_dir, configs = Path(work_dir), Path(configs)
    parts = find_logs(work_dir)
    if not parts:
        raise ResultsError(f'{work_dir} holds no log of a run: expected <time>/vis_data/config.py, which mmengine writes')
    names = sorted(path.stem for path in work_dir.glob('*.py'))
    known = [name for name in names if (configs / f'{name}.py').is_file()]
    if len(known or names) != 1:
        raise ResultsError(f'{work_dir} must hold the copy of one config, by which its rows are found, but holds '
                           f'{printable(", ".join(names)) or "none"}')
    name, = known or names
    kinds, trained, evaluated = [], None, None
    iterations, epochs, last, best = 0, 0, {}, {}
    for part in parts:
        path = part / 'vis_data' / 'config.py'
        its = read_dumped(path)
        model = table_of(its, 'model', path)
        tta = model.get('type') in _TTA
        if tta:
            model = its['model'] = table_of(model, 'module', path)
        backbone = table_of(model, 'backbone', path)
        kinds.append({key: backbone.get(key) for key in ('type', 'arch')})
        _check_same(kinds[0], kinds[-1], f'{part} holds a log of another model than {parts[0].name}')
        for line in _lines(part / 'vis_data' / 'scalars.json'):
            if 'loss' in line.values:
                iterations, epochs, trained = line.count('step'), line.count('epoch', 0), its
                length = training_length(its, path)
            line.score(METRICS, last, best)
        for line in _lines(part / f'{part.name}.json'):
            evaluated = its
            line.score({'mIoU': ('miou_ms', 1)} if tta else METRICS, last, best)
    its = trained or evaluated
    if its is None or not (trained or last):
        raise ResultsError(f'{work_dir} holds no log of a training run or an evaluation, only of runs that did not start')
    recipe, weights = read_recipe(its, path), None
    if trained is None:
        weights, length = str(its.get('load_from')), training_length(its, path)
        recipe = recipe._replace(pretrain=read_pretrain(weights))
    config, ours = _home(name, recipe, configs, kinds[0], parts[0])
    code = its.get('code')
    return Run(
        work_dir, name, config, recipe, weights and printable(weights), iterations, length,
        epochs if length[1] == 'epochs' else iterations, last, best,
        tuple(map(printable, _changes(ours, its))) if ours and trained else None,
        None if code is None else printable(str(code)))


def own_rows(runs: Sequence[Run], results: Sequence[Result]) -> List[Result]:
    """A row without published figures for each backbone and recipe that own runs have and no paper.

    Runs of other models and on other data have none.
    """
    rows = {}
    for run in runs:
        name, task, method, schedule, pretrain, crop = run.recipe
        if name is None or task is None or any(run.belongs_to(row) for row in results):
            continue
        family, variant = name.split('/')
        if family in FAMILIES:
            rows.setdefault(
                run.recipe,
                Result(family, task, method, f'{FAMILIES[family]} {variant}', schedule, pretrain, 'own run', variant, crop=crop))
    return list(rows.values())


def _home(name: str, recipe: Recipe, configs: Path, kind: dict, part: Path) -> Tuple[Optional[str], Optional[dict]]:
    """The config of this package that a run is compared with, and its settings."""
    path, settings = configs / f'{name}.py', None
    if path.is_file():
        settings = Config.fromfile(path).to_dict()
        backbone = (settings.get('model') or {}).get('backbone') or {}
        expected = {key: backbone.get(key) for key in kind}
        if not any(_differences(expected, kind, '')):
            return name, settings
        if recipe.backbone is None:
            _check_same(expected, kind, f'{part} holds a log of another config than {name}')
    for row in load_results():
        if row.config and (configs / f'{row.config}.py').is_file() and recipe.fits(row):
            return row.config, Config.fromfile(configs / f'{row.config}.py').to_dict()
    return None, settings


def _check_same(expected: dict, found: dict, message: str) -> None:
    for key in expected:
        if any(_differences(expected[key], found[key], key)):
            raise ResultsError(f'{message}: its backbone has {key}={found[key]!r}, not {expected[key]!r}')


def printable(text: str) -> str:
    """A text of a file on one line: line breaks, control characters and what can't be encoded become their escapes."""
    return ''.join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


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
        if first in _PLACES or last in _WORKERS or (old, new) == ('CheckpointHook', 'mmvit_backbones.CheckpointHook'):
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
