"""What a config trains, in the words of the tables: backbone, method, schedule, pre-training."""
import re
from pathlib import Path
from typing import NamedTuple, Optional, Tuple, Union

from mmengine.config import Config

from .. import list_backbones
from ..checkpoints import ZOO
from ..checkpoints.zoo import SCHEME
from ..engine.data import nodes
from .published import Result, ResultsError

CLASSES = dict(coco=80, ade20k=150, imagenet=1000)
"""{task: number of its classes}, by which a run on other data is told"""
_MODELS = dict(
    ATSS='atss', CascadeRCNN='cascade_mask_rcnn', DETR='detr', FasterRCNN='faster_rcnn', GFL='gfl', MaskRCNN='mask_rcnn',
    RetinaNet='retinanet', SparseRCNN='sparse_rcnn', ImageClassifier='classification', FPNHead='semantic_fpn',
    OCRHead='ocrnet', UPerHead='upernet')
"""{type of a detector or classifier, or of the last decode head of a segmentor: its method}"""
_SCHEDULES = {12: '1x', 24: '2x', 36: '3x'}


class Recipe(NamedTuple):
    """What is trained, by which rows of tables are found.

    Attributes:
        backbone: Name as in `list_backbones`; None for another model.
        task: As in `Result`; None for data with another number of classes than its data set.
        method: As in `Result`, or the type of a detector or decode head that no paper at hand has results for.
        schedule, pretrain, crop: As in `Result`.
    """
    backbone: Optional[str]
    task: Optional[str]
    method: str
    schedule: str
    pretrain: str
    crop: Optional[Tuple[int, int]]

    def fits(self, row: Result, schedule: bool = True) -> bool:
        """Whether it is what a row of a paper was trained with; ``schedule`` False leaves that out.

        Rows whose windows are not the variant's own are left to their configs.
        """
        return (self.backbone == f'{row.family}/{row.arch}' and row.window is None
                and (self.task, self.method, self.pretrain) == (row.task, row.method, row.pretrain)
                and (self.schedule == row.schedule or not schedule) and (row.crop in (None, self.crop)))


def read_recipe(settings: Union[dict, Config], path: Path) -> Recipe:
    """What a config trains.

    Args:
        settings: The config; without test-time augmentation around its model.
        path: Where it stands, for messages.

    Raises:
        ResultsError: It has no model, no backbone, or no length of training.
    """
    model = table_of(settings, 'model', path)
    backbone = table_of(model, 'backbone', path)
    known = {(cfg['type'], cfg['arch']): name for name, cfg in list_backbones().items()}
    kind = backbone.get('type'), backbone.get('arch')
    task, method = task_and_method(model)
    weights = _part(backbone, 'init_cfg').get('checkpoint')
    if method == 'classification' and weights is None:
        pretrain = 'in1k'  # there the rows name what is trained on
    else:
        pretrain = read_pretrain(weights)
    size = _part(model, 'data_preprocessor').get('size') if task == 'ade20k' else None
    classes = [node.get(key) for _, node in nodes(model) for key in ('num_classes', 'num_things_classes')]
    return Recipe(
        backbone=known.get(kind) if all(isinstance(part, str) for part in kind) else None,
        task=task if CLASSES[task] in classes else None,
        method=method,
        schedule=_schedule(*training_length(settings, path), task),
        pretrain=pretrain,
        crop=tuple(size) if isinstance(size, (list, tuple)) else None)


def read_pretrain(weights: Optional[str]) -> str:
    """What weights were trained on, by their name: 'in1k', 'in22k', 'mae', 'moby', or 'none'."""
    if weights is None:
        return 'none'
    entry = ZOO.get(str(weights).removeprefix(SCHEME))
    text = f'{weights} {entry.data if entry else ""}'
    method = re.search('mae|moby', text)
    return method[0] if method else 'in22k' if re.search('2[12]k', text) else 'in1k'


def training_length(settings: Union[dict, Config], path: Path) -> Tuple[int, str]:
    """How long a config trains, and in what that is counted: (12, 'epochs').

    Args:
        settings: The config.
        path: Where it stands, for the message.

    Raises:
        ResultsError: It does not say.
    """
    loop = table_of(settings, 'train_cfg', path)
    for key, unit in (('max_epochs', 'epochs'), ('max_iters', 'iterations')):
        if loop.get(key) is not None:
            if type(loop[key]) is not int or loop[key] < 1:
                raise ResultsError(f'{path}: train_cfg.{key} must be a whole number above 0, but is {shown(loop[key])}')
            return loop[key], unit
    raise ResultsError(f'{path}: train_cfg must hold max_epochs or max_iters, which say how long the training is')


def table_of(settings: Union[dict, Config], key: str, path: Path) -> dict:
    """A part of a config that must be a dict.

    Raises:
        ResultsError: It is none.
    """
    found = settings.get(key)
    if not isinstance(found, dict):
        raise ResultsError(f'{path}: {key} must be a dict, but is {"missing" if found is None else shown(found)}')
    return found


def shown(value: object) -> str:
    """A value of a file in a message: short, on one line."""
    return f'a {type(value).__name__}' if isinstance(value, (dict, list, tuple, set)) else repr(value)[:80]


def task_and_method(model: dict) -> Tuple[str, str]:
    """What a model is trained for and how, both as in `Result`: ('coco', 'mask_rcnn')."""
    heads = model.get('decode_head')
    last = heads[-1] if isinstance(heads, (list, tuple)) and heads else heads
    part = last if isinstance(last, dict) else model
    kind = str(part.get('type')).rsplit('.', 1)[-1]
    method = _MODELS.get(kind, kind)
    if method == 'cascade_mask_rcnn' and not _part(model, 'roi_head').get('mask_head'):
        method = kind
    return 'ade20k' if part is not model else 'imagenet' if method == 'classification' else 'coco', method


def _part(settings: dict, key: str) -> dict:
    found = settings.get(key)
    return found if isinstance(found, dict) else {}


def _schedule(length: int, unit: str, task: str) -> str:
    if unit == 'iterations':
        return f'{length // 1000}k' if length % 1000 == 0 else f'{length} iterations'
    return f'{length}e' if task == 'imagenet' else _SCHEDULES.get(length, f'{length}ep')
