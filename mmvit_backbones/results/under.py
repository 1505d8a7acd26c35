"""All backbones in one model: what each of them costs there, beside its published ImageNet accuracy."""
import copy
from pathlib import Path
from typing import Callable, Iterable, List, Optional, Sequence

from mmengine.config import Config

from ..engine.config import UsageError
from ..engine.flops import count_config
from ..engine.recipe import set_backbone
from .published import FAMILIES, Result, load_results
from .runs import Run
from .settings import read_recipe
from .speed import Speed
from .table import Entry


def compare_under(cfg: Config, backbones: Sequence[str], runs: Sequence[Run] = (), speed: Optional[Speed] = None,
                  progress: Callable[[Iterable], Iterable] = iter) -> List[Entry]:
    """Puts backbones into a config one after the other and counts the whole model.

    Args:
        cfg: Of mmdet, mmseg or mmpretrain; it stays as it is.
        backbones: Names of `list_backbones`.
        runs: Own runs; those of a config with this one's name stand beside their backbone.
        speed: Measurements of the backbones.
        progress: Wraps the iteration over the backbones, such as `rich.progress.track`.

    Returns:
        A row for each backbone, with the top-1 of weights of ImageNet-1k, or else of others. A backbone that does not fit
        has a note that says why, and no cost.
    """
    path, entries = Path(cfg.filename), []
    recipe = read_recipe(cfg, path)
    rows = [row for row in load_results() if row.method == 'classification' and row.top1 is not None]
    rows.sort(key=lambda row: row.pretrain != 'in1k')
    for name in progress(backbones):
        family, variant = name.split('/')
        published = next((row for row in rows if (row.family, row.arch) == (family, variant)), None)
        candidate, cost, note = copy.deepcopy(cfg), None, None
        try:
            cost = count_config(set_backbone(candidate, name, init_cfg=None, drop_path_rate=0.))
        except UsageError as error:
            note = f'Does not fit, or is not counted: {error}.'
        result = Result(
            family=family, task=recipe.task or 'coco', method=recipe.method, backbone=f'{FAMILIES[family]} {variant}',
            schedule=recipe.schedule, pretrain=published.pretrain if published else 'none',
            source=published.source if published else 'none published', variant=variant,
            top1=published and published.top1, verified=published is None or published.verified, note=note)
        own = tuple(run for run in runs if (run.name, run.recipe.backbone) == (path.stem, name))
        entries.append(Entry(result, cost, cost, own, speed.rows.get(name) if speed else None))
    return entries
