"""The files of the repository that are written from results and measurements: tables, model index and metafiles."""
from pathlib import Path
from typing import Dict, NamedTuple, Sequence, Tuple

import torch
import yaml
from mmengine.registry import MODELS

from .. import list_backbones
from ..checkpoints import ZOO
from ..engine.flops import count_macs
from .published import FAMILIES, METHODS, PAPERS, Result, ResultsError, load_results
from .speed_tables import speed_document
from .table import Entry, markdown_table, size_text, to_markdown

FAMILY_COLUMNS = (
    ('top-1', 'classification', '', 'top1'), ('Mask R-CNN 1x', 'mask_rcnn', '1x', 'box_ap'),
    ('Mask R-CNN 3x', 'mask_rcnn', '3x', 'box_ap'), ('Cascade 3x', 'cascade_mask_rcnn', '3x', 'box_ap'),
    ('UPerNet', 'upernet', '', 'miou', 'miou_ms'), ('Semantic FPN', 'semantic_fpn', '', 'miou'))  # yapf: disable
"""(title, method, how its schedule begins, its scores)"""
DATASETS = {'coco': 'COCO', 'ade20k': 'ADE20K'}
BEGIN, END = '<!-- begin: backbones, written by tools/compare.py --update-docs -->', '<!-- end: backbones -->'

ZOO_PAGE = '''# Model zoo

Written by `python tools/compare.py --update-docs` from `mmvit_backbones/results/papers`; not to be edited.

## Backbones

Channels are those of the four levels; parameters and multiply-adds (attention products counted, 224x224) those of the
dense backbone, without classifier, counted here. The scores are published, not ours. Top-1: ImageNet-1k, pre-trained on
ImageNet-22k where it says 22k. Mask R-CNN: box AP / mask AP on COCO val. UPerNet: mIoU / multi-scale mIoU on ADE20K val.
Semantic FPN: mIoU. A question mark: a figure that could not be verified. Weights: as in the README.

{backbones}

## Detectors and segmentors

Each row of a method with configs has one in `configs/`; `python tools/reproduce.py` takes it.

{results}'''


class BackboneCost(NamedTuple):
    """What a backbone gives and costs: channels of its levels, parameters, multiply-adds at 224x224, attention included."""
    channels: Tuple[int, ...]
    params: int
    macs: int


def documents(root: Path, entries: Sequence[Entry]) -> Dict[Path, str]:
    """{path: content} of every file that is written from the results, published and measured.

    Args:
        root: The repository.
        entries: All detection and segmentation rows, counted, without own runs.

    Raises:
        ResultsError: The README has no place for its table, or a file of docs/speed is damaged.
    """
    readme = (root / 'README.md').read_text(encoding='utf-8')
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        raise ResultsError(f'README.md must hold the lines {BEGIN} and {END} once each')
    before, rest = readme.split(BEGIN)
    after = rest.split(END)[1]
    costs = count_backbones()
    found = {
        root / 'README.md': f'{before}{BEGIN}\n{families(costs)}{END}{after}',
        root / 'docs' / 'model_zoo.md': ZOO_PAGE.format(backbones=backbones(costs), results=to_markdown(entries, level=3)),
        root / 'docs' / 'speed.md': speed_document(root / 'docs' / 'speed'),
        root / 'model-index.yml': _yaml(dict(Import=[f'configs/metafile_{family}.yml' for family in FAMILIES])),
    }
    for family in FAMILIES:
        found[root / 'configs' / f'metafile_{family}.yml'] = metafile(family, entries)
    return found


def count_backbones() -> Dict[str, BackboneCost]:
    """{name: what it costs} of all variants, by family."""
    costs = {}
    for name, cfg in sorted(list_backbones().items(), key=lambda item: list(FAMILIES).index(item[0].split('/')[0])):
        with torch.device('meta'):
            model, images = MODELS.build(cfg).eval(), torch.empty(1, 3, 224, 224)
        macs = count_macs(lambda: model(images)).all
        costs[name] = BackboneCost(model.out_channels, sum(p.numel() for p in model.parameters()), macs)
    return costs


def families(costs: Dict[str, BackboneCost]) -> str:
    """The table of all families, a line each: variants, channels, what their papers publish, weights."""
    results, lines = load_results(), []
    for family, name in FAMILIES.items():
        variants = [full.split('/')[1] for full in costs if full.startswith(f'{family}/')]
        channels = dict.fromkeys(costs[f'{family}/{variant}'].channels for variant in variants)
        rows = [row for row in results if row.family == family and row.arch in variants]
        weights = [_weights(f'{family}/{variant}') for variant in variants]
        lines.append([
            f'[{name}]({PAPERS[family]})', f'`{family}/` ' + ' '.join(f'`{variant}`' for variant in variants),
            '; '.join(' '.join(map(str, dims)) for dims in channels),
            *(_range(rows, *column) for _, *column in FAMILY_COLUMNS),
            ', '.join(f'{weights.count(kind)} {kind}' for kind in dict.fromkeys(weights))
        ])
    return markdown_table(['family', 'variants', 'channels', *(title for title, *_ in FAMILY_COLUMNS), 'weights'], lines) + '\n'


def backbones(costs: Dict[str, BackboneCost]) -> str:
    """The table of all variants: counted parameters and multiply-adds of the backbone, published scores."""
    titles = ('backbone', 'channels', 'params M', 'GMACs', 'top-1', 'Mask R-CNN 1x', 'Mask R-CNN 3x', 'UPerNet', 'Semantic FPN',
              'weights')
    results, lines = load_results(), []
    for name, cost in costs.items():
        family, variant = name.split('/')
        rows = [row for row in results if (row.family, row.arch) == (family, variant)]
        lines.append([
            f'`{name}`', ', '.join(map(str, cost.channels)), f'{cost.params / 1e6:.1f}', f'{cost.macs / 1e9:.1f}',
            _first(rows, 'classification', '', 'top1') or _first(rows, 'classification', '', 'top1', 'in22k'),
            _first(rows, 'mask_rcnn', '1x', 'box_ap', 'in1k', 'mask_ap'),
            _first(rows, 'mask_rcnn', '3x', 'box_ap', 'in1k', 'mask_ap'),
            _first(rows, 'upernet', '', 'miou', 'in1k', 'miou_ms') or _first(rows, 'upernet', '', 'miou', 'in22k', 'miou_ms'),
            _first(rows, 'semantic_fpn', '', 'miou'), _weights(name)
        ])
    return markdown_table(titles, lines)


def metafile(family: str, entries: Sequence[Entry]) -> str:
    """The metafile of a family for OpenMMLab's `mim`; figures are marked as their authors'."""
    models: Dict[str, dict] = {}
    for e in entries:
        row = e.result
        if row.family != family or row.config is None:
            continue
        model = models.setdefault(row.config, {
            'Name': row.config,
            'In Collection': FAMILIES[family],
            'Config': f'configs/{row.config}.py',
            'Metadata': {
                'Training Data': DATASETS[row.task],
                'Method': METHODS[row.method],
                'Scores by': _reported(row) if _metrics(row) else 'none published',
                'Schedule': row.schedule,
                'Pre-training': row.pretrain,
                'Parameters': e.cost.params,
                'Multiply-adds, all': e.common.macs.all,
                'Multiply-adds, modules': e.common.macs.modules,
                'Multiply-adds at': size_text(e.common.size),
            },
        })
        for task, metrics in _metrics(row).items():
            model.setdefault('Results', []).append({
                'Task': task, 'Dataset': DATASETS[row.task], 'Metrics': metrics,
                'Reported by': _reported(row),
                'Source': row.source
            })
    collection = {'Name': FAMILIES[family], 'Paper': {'URL': PAPERS[family]}, 'Code': {'URL': f'mmvit_backbones/backbones/{family}.py'}}
    return _yaml({'Collections': [collection], 'Models': list(models.values())})


def _reported(row: Result) -> str:
    return f'the authors, not reproduced here{"" if row.verified else "; recollected, not verified"}'


def _metrics(row: Result) -> Dict[str, Dict[str, float]]:
    if row.task == 'coco':
        pairs = {'Object Detection': {'box AP': row.box_ap}, 'Instance Segmentation': {'mask AP': row.mask_ap}}
    else:
        pairs = {'Semantic Segmentation': {'mIoU': row.miou, 'mIoU (ms+flip)': row.miou_ms}}
    found = {task: {key: value for key, value in scores.items() if value is not None} for task, scores in pairs.items()}
    return {task: scores for task, scores in found.items() if scores}


def _weights(name: str) -> str:
    weights = ZOO.get(name)
    return 'none' if weights is None else 'fetched' if weights.sources else 'by hand'


def _range(rows: Sequence[Result], method: str, schedule: str, *keys: str) -> str:
    """The lowest and the highest score of a method and schedule (any where it is empty), of the first key that has one."""
    for key in keys:
        found = [row for row in rows if row.method == method and row.schedule.startswith(schedule) and getattr(row, key) is not None]
        if found:
            ends = [pick(found, key=lambda row: getattr(row, key)) for pick in (min, max)]
            texts = [f'{getattr(row, key):.1f}{"" if row.verified else "?"}' for row in ends]
            return '-'.join(dict.fromkeys(texts)) + (' ms' if key == 'miou_ms' else '')
    return ''


def _first(rows: Sequence[Result], method: str, schedule: str, key: str, pretrain: str = 'in1k', second: str = '') -> str:
    """The first row's score (and second score) of a method, schedule (any where it is empty) and pre-training."""
    for row in rows:
        if (row.method, row.pretrain) == (method, pretrain) and row.schedule.startswith(schedule) and getattr(row, key) is not None:
            text = str(getattr(row, key))
            if second:
                text += f' / {"-" if getattr(row, second) is None else getattr(row, second)}'
            return text + ('' if row.verified else '?') + (' (22k)' if pretrain == 'in22k' else '')
    return ''


def _yaml(data: dict) -> str:
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=119)
    return f'# Written by tools/compare.py --update-docs from mmvit_backbones/results/papers.\n{text}'
