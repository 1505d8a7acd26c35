"""Own runs, read from the work directories that mmengine leaves behind."""
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple, Union

from mmengine.config import Config

from .published import ResultsError

METRICS = {'coco/bbox_mAP': ('box_ap', 100), 'coco/segm_mAP': ('mask_ap', 100), 'mIoU': ('miou', 1)}
"""{metric as mmengine logs it: (its name here, factor to percent)}"""
_PLACES = 'work_dir', 'launcher', 'resume', 'code', 'local_rank', 'model_wrapper_cfg'
_WORKERS = 'num_workers', 'persistent_workers', 'pin_memory', 'prefetch_factor'
"""Settings of a run that say where and how it runs, not what it trains: at the root of a config, and anywhere."""
_TTA = 'SegTTAModel', 'DetTTAModel'


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
        if not path.is_dir():
            raise ResultsError(f'There is no work directory {path}')
        runs = [folder for folder in (path, *sorted(path.iterdir())) if find_logs(folder)]
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
    names = [path.stem for path in work_dir.glob('*.py')]
    known = [name for name in names if (configs / f'{name}.py').is_file()]
    if len(known) != 1:
        raise ResultsError(f'{work_dir} must hold the copy of one config of {configs}, by which its rows are found, but '
                           f'holds {", ".join(names) or "none"}')
    name, = known
    ours, cfg = Config.fromfile(configs / f'{name}.py'), None
    iterations, epochs, last, best = 0, 0, {}, {}
    for part in parts:
        its = Config.fromfile(part / 'vis_data' / 'config.py')
        tta = its.model.get('type') in _TTA
        if tta:
            its.model = its.model.module
        for key in ('type', 'arch'):
            found, expected = (config.model.get('backbone', {}).get(key) for config in (its, ours))
            if any(_differences(found, expected, key)):
                raise ResultsError(f'{part} holds a log of another config than {name}: its backbone has {key}={found!r}, '
                                   f'not {expected!r}')
        for line in _lines(part / 'vis_data' / 'scalars.json'):
            if 'loss' in line:
                iterations, epochs, cfg = line['step'], line.get('epoch', 0), its
            _score(line, METRICS, last, best)
        for line in _lines(part / f'{part.name}.json'):
            _score(line, {'mIoU': ('miou_ms', 1)} if tta else METRICS, last, best)
    if cfg is None:
        raise ResultsError(f'{work_dir} holds no log of a training run, only of evaluations or of runs that did not start')
    loop = cfg.train_cfg
    length = (loop.max_epochs, 'epochs') if 'max_epochs' in loop else (loop.max_iters, 'iterations')
    return Run(work_dir, name, iterations, length, epochs if length[1] == 'epochs' else iterations, last, best,
               tuple(_changes(ours, cfg)), cfg.get('code'))


def _score(line: dict, metrics: Dict[str, Tuple[str, int]], last: Dict[str, float], best: Dict[str, float]) -> None:
    for metric, (key, factor) in metrics.items():
        if metric in line:
            last[key] = line[metric] * factor
            best[key] = max(best.get(key, 0.), last[key])


def _lines(path: Path) -> List[dict]:
    """The lines of a log, if there is one; a last line that a killed run has left unfinished does not count."""
    if not path.is_file():
        return []
    *lines, rest = path.read_text(encoding='utf-8').split('\n')
    found = []
    for number, line in enumerate([*lines, rest], 1):
        if not line.strip():
            continue
        try:
            found.append(dict(json.loads(line)))
        except (TypeError, ValueError) as error:
            if line is rest:
                break
            raise ResultsError(f'{path}, line {number} is damaged: {error}') from error
    return found


def _changes(ours: Config, its: Config) -> Iterator[str]:
    roots = set()
    for key, old, new in _differences(ours.to_dict(), its.to_dict(), ''):
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
