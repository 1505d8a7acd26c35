"""The papers' results, as data: one file a family, ``papers/<family>.json``."""
import json
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple, Union

from .. import list_backbones
from ..engine.config import UsageError

Number = Union[int, float]

FOLDER = Path(__file__).parent / 'papers'
TASKS = 'imagenet', 'coco', 'ade20k'
METHODS: Dict[str, str] = {
    'mask_rcnn': 'Mask R-CNN', 'cascade_mask_rcnn': 'Cascade Mask R-CNN', 'faster_rcnn': 'Faster R-CNN',
    'retinanet': 'RetinaNet', 'upernet': 'UPerNet', 'semantic_fpn': 'Semantic FPN', 'ocrnet': 'OCRNet'
}  # yapf: disable
"""{method: its name in print} of the methods that have configs here."""
OTHER_METHODS: Dict[str, str] = {
    'atss': 'ATSS', 'detr': 'DETR', 'gfl': 'GFL', 'htc_plus_plus': 'HTC++',
    'mask_reppoints_v2': 'Mask RepPoints v2', 'reppoints_v2': 'RepPoints v2', 'sparse_rcnn': 'Sparse R-CNN',
    'dpt': 'DPT', 'segmenter_linear': 'Segmenter, linear', 'segmenter_mask': 'Segmenter, mask transformer',
    'setr_mla': 'SETR-MLA', 'setr_naive': 'SETR-Naive', 'setr_pup': 'SETR-PUP', 'trans2seg': 'Trans2Seg',
    'classification': 'ImageNet classification'
}  # yapf: disable
"""The same of methods whose results are data only."""
SCORES: Dict[str, str] = dict(
    box_ap='box AP', mask_ap='mask AP', miou='mIoU', miou_ms='mIoU ms', top1='top-1', top5='top-5')
"""{score: its name in tables}"""


class ResultsError(UsageError):
    """Results that can't be read or don't exist."""


@dataclass(frozen=True)
class Result:
    """One row of a paper's table. Figures are as printed, so that their digits tell how they were rounded.

    Attributes:
        family: Key of `FAMILIES`.
        task: 'imagenet', 'coco' or 'ade20k'.
        method: Such as 'mask_rcnn'; 'classification' for ImageNet.
        backbone: Name as printed.
        schedule: '1x', '3x', '160k' (iterations), '300e' (epochs), ...; 'unknown' where the source does not say.
        pretrain: 'in1k', 'in22k', 'mae', 'moby', or 'none'.
        source: Where the figures stand.
        variant: The variant of `list_backbones`, with '_22k' for weights of ImageNet-22k; None for models that this
            package does not have.
        config: The config that reproduces the row, without folder and ending; None where there is none.
        params_m: Parameters of the whole model in millions.
        flops_g: What the paper calls GFLOPs: multiply-adds in all papers at hand.
        flops_input: Height and width that ``flops_g`` is for; None where the paper does not say.
        count_input: Height and width that ``flops_g`` fits, where that is not the usual one.
        box_ap, mask_ap, ap, miou, miou_ms, top1, top5: Scores in percent; ``ap`` holds further ones by name, ``miou_ms``
            is of several scales and flips.
        crop: Height and width of training crops.
        window: Side of the windows in tokens, where it is not the variant's own.
        scale, testing: Size of test images, and how they are tested, where it is not usual.
        fps, gpu_img_per_s, cpu_latency_ms: Speed, as measured by the authors.
        verified: False for figures that are recollected.
        note: What else there is to know.
        cost_notes: Why the counted cost differs from the published one.
    """
    family: str
    task: str
    method: str
    backbone: str
    schedule: str
    pretrain: str
    source: str
    variant: Optional[str] = None
    config: Optional[str] = None
    params_m: Optional[Number] = None
    flops_g: Optional[Number] = None
    flops_input: Optional[Tuple[int, int]] = None
    count_input: Optional[Tuple[int, int]] = None
    box_ap: Optional[Number] = None
    mask_ap: Optional[Number] = None
    ap: Optional[Dict[str, Number]] = None
    miou: Optional[Number] = None
    miou_ms: Optional[Number] = None
    top1: Optional[Number] = None
    top5: Optional[Number] = None
    crop: Optional[Tuple[int, int]] = None
    window: Optional[int] = None
    scale: Optional[str] = None
    testing: Optional[str] = None
    fps: Optional[Number] = None
    gpu_img_per_s: Optional[Number] = None
    cpu_latency_ms: Optional[Number] = None
    verified: bool = True
    note: Optional[str] = None
    cost_notes: Tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``<family>/<variant>/<method>/<schedule>/<pretrain>``, by which the tools take it."""
        return '/'.join((self.family, self.variant or self.backbone, self.method, self.schedule, self.pretrain))

    @property
    def arch(self) -> Optional[str]:
        """The variant of `list_backbones`, whatever it was pre-trained on; None for models that are not there."""
        names = () if self.variant is None else (self.variant, re.sub('_(22k|in21k)$', '', self.variant))
        return next((name for name in names if f'{self.family}/{name}' in _BACKBONES), None)

    @property
    def title(self) -> str:
        """The backbone in tables, with what else tells the row from its neighbours."""
        parts = [self.backbone, self.window and f'windows of {self.window}', self.testing]
        return ', '.join(part for part in parts if part)


_AMOUNTS = 'params_m', 'flops_g', 'fps', 'gpu_img_per_s', 'cpu_latency_ms'
_SIZES = 'flops_input', 'count_input', 'crop'
_KEYS = {field.name for field in fields(Result)} - {'family'}
_REQUIRED = 'task', 'method', 'backbone', 'schedule', 'pretrain', 'source'


def load_results(folder: Union[str, Path] = FOLDER) -> List[Result]:
    """All rows of all families, in the order of `FAMILIES`, checked.

    Args:
        folder: Holds ``<family>.json`` for each.

    Raises:
        ResultsError: A file is missing or damaged; the message names the row and what is wrong with it.
    """
    results = []
    for family in FAMILIES:
        path = Path(folder, f'{family}.json')
        data = _read(path)
        notes = data['cost_notes']
        results += [_result(row, family, notes, f'{path}, result {i}') for i, row in enumerate(data['results'], 1)]
    return results


def config_name(path: str) -> str:
    """The name of a config, without folder and ending, by which rows know it."""
    return Path(path).name.removesuffix('.py')


def resolve(name: str, results: Sequence[Result]) -> List[Result]:
    """The rows that are meant by a config's name or path, or by the beginning of a row's name.

    Args:
        name: Such as ``configs/maskrcnn_cswin_t_coco.py``, ``maskrcnn_cswin_t_coco`` or ``cswin/tiny/mask_rcnn/1x``.
        results: Where to look.

    Raises:
        ResultsError: There is none.
    """
    found = [row for row in results if row.config == config_name(name)]
    found = found or [row for row in results if f'{row.name}/'.startswith(name.rstrip('/') + '/')]
    if not found:
        parts = [row.name for row in results if row.name.split('/')[0] == name.split('/')[0]]
        known = ', '.join(dict.fromkeys(parts)) or 'the families ' + ', '.join(FAMILIES)
        raise ResultsError(f'{name} is neither the name of a config with published results nor a row '
                           f'<family>/<variant>/<method>/<schedule>/<pretrain>. Known: {known}')
    return found


def _read(path: Path) -> dict:
    try:
        data = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        raise ResultsError(f'{path} does not exist') from None
    except ValueError as error:
        raise ResultsError(f'{path} is damaged: {error}') from error
    expected = dict(name=str, paper=str, cost_notes=dict, results=list)
    if not isinstance(data, dict) or not all(isinstance(data.get(key), kind) for key, kind in expected.items()):
        raise ResultsError(f'{path} must hold an object with the texts "name" and "paper", an object "cost_notes" and a '
                           'list "results"')
    return data


def _result(row: dict, family: str, notes: Dict[str, str], where: str) -> Result:

    def check(right: bool, key: str, expected: str) -> None:
        if not right:
            found = f'is {row[key]!r}' if isinstance(row, dict) and key in row else 'is missing'
            raise ResultsError(f'{where}: {key} must be {expected}, but {found}')

    check(isinstance(row, dict), 'it', 'an object')
    for key in row:
        check(key in _KEYS, key, f'left out, or one of {", ".join(sorted(_KEYS))}')
    for key in _REQUIRED:
        check(isinstance(row.get(key), str) and row[key], key, 'a text')
    check(row['task'] in TASKS, 'task', f'one of {", ".join(TASKS)}')
    methods = {**METHODS, **OTHER_METHODS}
    check(row['method'] in methods, 'method', f'one of {", ".join(methods)}')
    for key in ('variant', 'config', 'scale', 'testing', 'note'):
        check(isinstance(row.get(key, ''), str), key, 'a text')
    for key in SCORES:
        check(key not in row or _is_number(row[key]) and 0 <= row[key] <= 100, key, 'a number between 0 and 100')
    further = row.get('ap', {})
    check(isinstance(further, dict) and all(map(_is_number, further.values())), 'ap', 'numbers by name')
    for key in _AMOUNTS:
        check(key not in row or _is_number(row[key]) and row[key] > 0, key, 'a number above 0')
    for key in _SIZES:
        size = row.get(key, [1, 1])
        check(isinstance(size, list) and len(size) == 2 and all(type(side) is int and side > 0 for side in size), key,
              'a height and a width in pixels')
    check(type(row.get('window', 1)) is int and row.get('window', 1) > 0, 'window', 'a whole number above 0')
    check(isinstance(row.get('verified', True), bool), 'verified', 'true or false')
    chosen = row.get('cost_notes', [])
    check(isinstance(chosen, list) and all(note in notes for note in chosen), 'cost_notes', f'a list of {", ".join(notes)}')
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    values['cost_notes'] = tuple(notes[note] for note in chosen)
    return Result(family=family, **values)


def _is_number(value: object) -> bool:
    return type(value) in (int, float)


_BACKBONES = list_backbones()
_PAPERS = {
    path.stem: _read(path)
    for path in sorted(FOLDER.glob('*.json')) if any(name.startswith(f'{path.stem}/') for name in _BACKBONES)
}
FAMILIES: Dict[str, str] = {family: data['name'] for family, data in _PAPERS.items()}
"""{family: its name in print}, in the order of all tables: those that have a backbone and a file of results."""
PAPERS: Dict[str, str] = {family: data['paper'] for family, data in _PAPERS.items()}
"""{family: address of its paper}"""
