"""The files of the repository that are written from results and measurements: tables, model index and metafiles."""
from pathlib import Path
from typing import Dict, Sequence

import torch
import yaml
from mmengine.registry import MODELS

from .. import list_backbones
from ..checkpoints import ZOO
from ..engine.flops import count_macs
from .published import FAMILIES, METHODS, Result, ResultsError, load_results
from .speed_tables import speed_document
from .table import Entry, markdown_table, size_text, to_markdown

PAPERS = {
    'cswin': 'https://arxiv.org/abs/2107.00652', 'swin': 'https://arxiv.org/abs/2103.14030',
    'pvt': 'https://arxiv.org/abs/2102.12122', 'pvt_v2': 'https://arxiv.org/abs/2106.13797',
    'twins_pcpvt': 'https://arxiv.org/abs/2104.13840', 'twins_svt': 'https://arxiv.org/abs/2104.13840',
    'msg_transformer': 'https://arxiv.org/abs/2105.15168', 'shuffle_transformer': 'https://arxiv.org/abs/2106.03650',
    'gg_transformer': 'https://arxiv.org/abs/2106.02277', 'sg_former': 'https://arxiv.org/abs/2308.12216',
    'fcvit': 'https://arxiv.org/abs/2212.12552', 't2t_vit': 'https://arxiv.org/abs/2101.11986'
}  # yapf: disable
DATASETS = {'coco': 'COCO', 'ade20k': 'ADE20K'}
BEGIN, END = '<!-- begin: backbones, written by tools/compare.py --update-docs -->', '<!-- end: backbones -->'


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
    zoo = ('# Model zoo\n\nWritten by `python tools/compare.py --update-docs` from `mmvit_backbones/results/papers`; not to '
           'be edited. Each row of a method with configs has one in `configs/`; `python tools/reproduce.py` takes it.\n\n')
    found = {
        root / 'README.md': f'{before}{BEGIN}\n{backbones()}{END}{after}',
        root / 'docs' / 'model_zoo.md': zoo + to_markdown(entries),
        root / 'docs' / 'speed.md': speed_document(root / 'docs' / 'speed'),
        root / 'model-index.yml': _yaml(dict(Import=[f'configs/metafile_{family}.yml' for family in FAMILIES])),
    }
    for family in FAMILIES:
        found[root / 'configs' / f'metafile_{family}.yml'] = metafile(family, entries)
    return found


def backbones() -> str:
    """The table of all variants: counted parameters and multiply-adds of the backbone, published scores."""
    results = load_results()
    titles = ('backbone', 'channels', 'params M', 'GMACs', 'top-1', 'Mask R-CNN 1x', 'Mask R-CNN 3x', 'UPerNet', 'Semantic FPN',
              'weights')
    lines = []
    known = list_backbones()
    for name in sorted(known, key=lambda name: list(FAMILIES).index(name.split('/')[0])):
        family, variant = name.split('/')
        with torch.device('meta'):
            model, images = MODELS.build(known[name]).eval(), torch.empty(1, 3, 224, 224)
            macs = count_macs(lambda: model(images)).all
        rows = [row for row in results if (row.family, row.arch) == (family, variant)]
        weights = ZOO.get(name)
        lines.append([
            f'`{name}`', ', '.join(map(str, model.out_channels)), f'{sum(p.numel() for p in model.parameters()) / 1e6:.1f}',
            f'{macs / 1e9:.1f}',
            _first(rows, 'classification', '', 'top1') or _first(rows, 'classification', '', 'top1', 'in22k'),
            _first(rows, 'mask_rcnn', '1x', 'box_ap', 'in1k', 'mask_ap'),
            _first(rows, 'mask_rcnn', '3x', 'box_ap', 'in1k', 'mask_ap'),
            _first(rows, 'upernet', '', 'miou', 'in1k', 'miou_ms') or _first(rows, 'upernet', '', 'miou', 'in22k', 'miou_ms'),
            _first(rows, 'semantic_fpn', '', 'miou'),
            'none' if weights is None else 'fetched' if weights.sources else 'by hand',
        ])
    return markdown_table(titles, lines) + '\n'


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
