"""The comparison: published results beside counted cost and own runs."""
import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union

from mmengine.config import Config
from rich.table import Table

from .. import list_backbones
from ..engine import classifier
from ..engine.flops import Cost, common_size, count_config
from .published import METHODS, OTHER_METHODS, SCORES, Number, Result
from .runs import Run, printable
from .speed import Speed

WAYS = 'modules', 'all'
TITLES = {**METHODS, **OTHER_METHODS}
TASK_SCORES = dict(coco=('box_ap', 'mask_ap'), ade20k=('miou', 'miou_ms'), imagenet=('top1', 'top5'))
PUBLISHED_LEGEND = (
    'Scores are published, not ours. GFLOPs are as the papers print them: multiply-adds, whatever they are called. ')
COUNTED_LEGEND = (
    'Counted here, on the whole detector or segmentor: parameters; GMACs, thousand millions of multiply-adds (FLOPs are '
    'twice as many), by `modules` (convolution, linear and norm layers, without the products of attention: what mmdet '
    "2's get_flops printed) and by `all` (with these). Box heads count 1000 proposals and mask heads 100. difference: "
    'published less counted, by the way of counting that is nearer; = where they agree to the printed digit. An input in '
    'parentheses is not stated by the paper. ')


@dataclass(frozen=True)
class Entry:
    """A row of the comparison.

    Attributes:
        result: What is published.
        cost: What the whole model costs at the paper's input, counted; None without a config (but for ImageNet's
            classifiers, which need none), or where it was not to be counted.
        common: The same at the input that is common for the method, at which models can be compared.
        runs: Own runs that belong to the row.
        speed: Of the backbone, measured, as in `Speed.rows`.
    """
    result: Result
    cost: Optional[Cost] = None
    common: Optional[Cost] = None
    runs: Tuple[Run, ...] = ()
    speed: Optional[Dict[str, float]] = None

    @property
    def way(self) -> Optional[str]:
        """The way of counting that is nearer to the published FLOPs."""
        if self.cost is None or self.result.flops_g is None:
            return None
        return min(WAYS, key=lambda way: abs(getattr(self.cost.macs, way) / 1e9 - self.result.flops_g))

    @property
    def params_difference(self) -> Optional[float]:
        """Published less counted parameters in millions; 0 where they agree to the printed digit."""
        return None if self.cost is None else difference(self.result.params_m, self.cost.params / 1e6)

    @property
    def flops_difference(self) -> Optional[float]:
        """Published less counted multiply-adds in thousand millions, by `way`; 0 where they agree."""
        return None if self.way is None else difference(self.result.flops_g, getattr(self.cost.macs, self.way) / 1e9)

    @property
    def notes(self) -> List[str]:
        return [note for note in (self.result.note, *self.result.cost_notes) if note]


def compare(results: Sequence[Result], configs: Optional[Path], runs: Sequence[Run] = (),
            speed: Optional[Speed] = None, progress: Callable[[Iterable], Iterable] = iter) -> List[Entry]:
    """Counts what the models of some rows cost, and puts own runs beside them.

    Args:
        results: The rows.
        configs: Folder of the package's configs; None leaves the cost out.
        runs: Own runs.
        speed: Measurements of the backbones.
        progress: Wraps the iteration over the rows, such as `rich.progress.track`.
    """
    counted: Dict[tuple, Cost] = {}
    entries = []
    for row in progress(results):
        costs, cfg = [], None if configs is None else _config(row, configs)
        if cfg is not None:
            model, common = str(cfg.model), common_size(cfg)
            for size in (row.flops_input or row.count_input or common, common):
                key = (model, size)
                if key not in counted:
                    counted[key] = count_config(cfg, size)
                costs.append(counted[key])
        measured = speed.rows.get(f'{row.family}/{row.arch}') if speed else None
        own = tuple(run for run in runs if run.belongs_to(row))
        entries.append(Entry(row, *costs, runs=own, speed=measured))
    return entries


def _config(row: Result, configs: Path) -> Optional[Config]:
    """The model of a row, the same under whatever schedule; None where there is none."""
    if row.task == 'imagenet':
        name = f'{row.family}/{row.arch}'
        return Config(dict(default_scope='mmpretrain', model=classifier(name))) if name in list_backbones() else None
    if row.config is None:
        return None
    cfg = Config.fromfile(configs / f'{row.config}.py')
    cfg.model.backbone.update(init_cfg=None, drop_path_rate=0.)
    return cfg


def difference(published: Optional[Number], counted: float) -> Optional[float]:
    """Published less counted; 0 where the printed digits are the same, None where nothing is published."""
    if published is None:
        return None
    digits = len(str(published).partition('.')[2])
    gap = published - counted
    return 0. if abs(gap) <= .5 * 10**-digits + 1e-9 else gap


class Column(NamedTuple):
    title: str
    text: Callable[[Entry], str]
    justify: str = 'right'


def columns(entries: Sequence[Entry], task: str, numbers: Dict[str, int], sources: Dict[str, str]) -> List[Column]:
    """The columns of a table, those aside in which nothing stands.

    Args:
        entries: Of the table.
        task: Of its method.
        numbers, sources: Of `number_notes` and `number_sources`.
    """
    found = [
        Column('backbone', lambda e: e.result.title, 'left'),
        Column('schedule', lambda e: e.result.schedule, 'left'),
        Column('pre-training', lambda e: e.result.pretrain, 'left'),
    ]
    found += [
        Column(SCORES[key], lambda e, key=key: _printed(e.result, key)) for key in dict.fromkeys((*TASK_SCORES[task], 'top1'))
    ]
    found += [
        Column('own run', lambda e: '; '.join(own_scores(run, task) for run in e.runs)),
        Column('ms', lambda e: f'{e.speed["latency"] * 1e3:.1f}' if e.speed else ''),
        Column('images/s', lambda e: f'{e.speed["images_per_second"]:.2f}' if e.speed else ''),
        Column('peak GiB', lambda e: f'{e.speed["peak_memory"] / 2**30:.2f}' if e.speed else ''),
        Column('params M', lambda e: _printed(e.result, 'params_m')),
        Column('counted', lambda e: '' if e.cost is None else f'{e.cost.params / 1e6:.2f}'),
        Column('difference', lambda e: _signed(e.params_difference)),
        Column('GFLOPs', lambda e: _printed(e.result, 'flops_g')),
        Column('input', _input),
        Column('GMACs modules', lambda e: '' if e.cost is None else f'{e.cost.macs.modules / 1e9:.1f}'),
        Column('GMACs all', lambda e: '' if e.cost is None else f'{e.cost.macs.all / 1e9:.1f}'),
        Column('difference', lambda e: _signed(e.flops_difference) + (f' {e.way}' if e.way else '')),
        Column('notes', lambda e: ', '.join(str(numbers[note]) for note in e.notes), 'left'),
        Column('source', lambda e: sources[source(e)], 'left'),
        Column('config', lambda e: e.result.config or '', 'left'),
    ]
    return [column for column in found if any(map(column.text, entries))]


def legend(entries: Sequence[Entry]) -> str:
    """What the figures are; of counted ones only where there are any."""
    counted = COUNTED_LEGEND if any(e.cost for e in entries) else ''
    return f'{PUBLISHED_LEGEND}{counted}A question mark: recollected, not verified.'


def by_method(entries: Sequence[Entry]) -> Dict[str, List[Entry]]:
    """The entries by method, those with configs first and those of own runs alone last, and within a method by family."""
    groups: Dict[str, List[Entry]] = {method: [] for method in TITLES}
    for e in entries:
        groups.setdefault(e.result.method, []).append(e)
    return {method: group for method, group in groups.items() if group}


def number_notes(entries: Sequence[Entry]) -> Dict[str, int]:
    """{note: its number}, in the order of the tables."""
    notes = dict.fromkeys(note for group in by_method(entries).values() for e in group for note in e.notes)
    return {note: i for i, note in enumerate(notes, 1)}


def number_sources(entries: Sequence[Entry]) -> Dict[str, str]:
    """{source: its number}, in the order of the tables, such as S1."""
    sources = dict.fromkeys(source(e) for group in by_method(entries).values() for e in group)
    return {name: f'S{i}' for i, name in enumerate(sources, 1)}


def source(e: Entry) -> str:
    """Where a row's figures stand, with short names of commits."""
    return re.sub(r'(@[0-9a-f]{7})[0-9a-f]{33}', r'\1', e.result.source)


class Text(NamedTuple):
    """All tables of a comparison, cell by cell, and the lists below them, for whatever form they are given.

    Attributes:
        tables: (title, columns, rows of cells) for each method.
        notes: {note: its number}
        sources: {source: its number}
        runs: A sentence for each own run.
    """
    tables: List[Tuple[str, List[Column], List[List[str]]]]
    notes: Dict[str, int]
    sources: Dict[str, str]
    runs: List[str]


def to_text(entries: Sequence[Entry]) -> Text:
    """Lays a comparison out."""
    notes, sources, tables = number_notes(entries), number_sources(entries), []
    for method, group in by_method(entries).items():
        found = columns(group, group[0].result.task, notes, sources)
        tables.append((TITLES.get(method, method), found, [[column.text(e) for column in found] for e in group]))
    return Text(tables, notes, sources, _own_runs(entries))


def to_rich(entries: Sequence[Entry]) -> List[Union[Table, str]]:
    """Tables for a terminal, one a method, and texts after them."""
    text, parts = to_text(entries), []
    for title, found, rows in text.tables:
        table = Table(title=title)
        for column in found:
            table.add_column(column.title, justify=column.justify, no_wrap=True)
        for row in rows:
            table.add_row(*row)
        parts.append(table)
    numbered = [*text.notes.items(), *text.sources.items()]
    return [*parts, legend(entries), *(f'{number}  {note}' for note, number in numbered), *text.runs]


def to_markdown(entries: Sequence[Entry], level: int = 2) -> str:
    """The same for Markdown, with headings of a level."""
    text = to_text(entries)
    parts = []
    for title, found, rows in text.tables:
        parts.append((title, markdown_table([c.title for c in found], rows, [c.justify for c in found])))
    parts += [
        ('Notes', '\n'.join(f'{number}. {note}' for note, number in text.notes.items())),
        ('Sources', '\n'.join(f'- {number}: {source}' for source, number in text.sources.items())),
        ('Own runs', '\n'.join(f'- {run}' for run in text.runs)),
    ]
    return '\n\n'.join([legend(entries), *(f'{"#" * level} {title}\n\n{body}' for title, body in parts if body)]) + '\n'


def markdown_table(titles: Sequence[str], rows: Sequence[Sequence[str]], justify: Sequence[str] = ()) -> str:
    """A table, its columns to the left but for those that are to be to the right."""
    rules = ['---:' if side == 'right' else '---' for side in justify or ['left'] * len(titles)]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in (titles, rules, *rows))


def to_records(entries: Sequence[Entry]) -> List[dict]:
    """All there is to know, unrounded, as one flat dict for each row and each own run of it."""
    records = []
    for e in entries:
        row, cost = e.result, e.cost
        record = {key: getattr(row, key) for key in ('family', 'backbone', 'variant', 'task', 'method', 'schedule', 'pretrain')}
        record['crop'] = size_text(row.crop)
        record.update((key, getattr(row, key)) for key in SCORES)
        record.update(
            verified=row.verified,
            published_params_m=row.params_m,
            counted_params_m=cost and cost.params / 1e6,
            params_difference_m=e.params_difference,
            published_gflops=row.flops_g,
            published_gflops_input=size_text(row.flops_input),
            counted_input=cost and size_text(cost.size),
            counted_gmacs_modules=cost and cost.macs.modules / 1e9,
            counted_gmacs_all=cost and cost.macs.all / 1e9,
            gmacs_difference=e.flops_difference,
            gmacs_difference_by=e.way,
            common_input=e.common and size_text(e.common.size),
            common_gmacs_modules=e.common and e.common.macs.modules / 1e9,
            common_gmacs_all=e.common and e.common.macs.all / 1e9,
            config=row.config,
            backbone_latency_ms=e.speed and e.speed['latency'] * 1e3,
            backbone_images_per_second=e.speed and e.speed['images_per_second'],
            backbone_peak_memory_gib=e.speed and e.speed['peak_memory'] / 2**30,
            notes=' '.join(e.notes),
            source=row.source)
        for run in e.runs or (None, ):
            record.update({f'own_last_{key}': run and run.last.get(key) for key in TASK_SCORES[row.task]})
            record.update({f'own_best_{key}': run and run.best.get(key) for key in TASK_SCORES[row.task]})
            record.update(
                own_work_dir=run and printable(str(run.work_dir)), own_iterations=run and run.iterations,
                own_progress=run and run.state, own_code=run and run.code,
                own_changes=run and '; '.join(run.changes or ()))
            records.append(dict(record))
    return records


def to_csv(entries: Sequence[Entry]) -> str:
    """`to_records` as comma-separated values.

    A spreadsheet takes a text that begins with ``=``, ``+``, ``-`` or ``@`` for a formula; such a text gets a ``'`` in
    front of it, and a line break or tab becomes its escape. Numbers are as they are.
    """
    records = [{key: _cell(value) for key, value in record.items()} for record in to_records(entries)]
    keys = dict.fromkeys(key for record in records for key in record)
    text = io.StringIO()
    writer = csv.DictWriter(text, keys, lineterminator='\n')
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(('=', '+', '-', '@')) else text


def own_scores(run: Run, task: str) -> str:
    """The scores of a run's last evaluation, and the best ones where they are others."""
    keys = [key for key in TASK_SCORES[task] if key in run.last]
    if not keys:
        return 'not evaluated'
    last, best = (' / '.join(f'{scores[key]:.1f}' for key in keys) for scores in (run.last, run.best))
    text = last if last == best else f'{last} (best {best})'
    return text if run.finished else f'{text} ({run.state})' if run.weights else f'{text} after {run.state}'


def _own_runs(entries: Sequence[Entry]) -> List[str]:
    lines = {}
    for e in entries:
        for run in e.runs:
            text = f'{printable(str(run.work_dir))}: {printable(run.name)}, {own_scores(run, e.result.task)}'
            if run.weights is None:
                against = 'the config' if run.config in (run.name, None) else run.config
                changes = 'not known' if run.changes is None else '; '.join(run.changes) or 'none'
                text += (f', {run.iterations} iterations ({run.state}), code {run.code or "not recorded"}. Changes against '
                         f'{against}: {changes}')
            lines[run.work_dir] = text
    return list(lines.values())


def score(result: Result) -> Optional[str]:
    """Which score stands for a row in plots: the first of its task, or else the top-1 of its backbone; None without one."""
    keys = TASK_SCORES[result.task][0], 'top1'
    return next((key for key in keys if getattr(result, key) is not None), None)


def _printed(result: Result, key: str) -> str:
    value = getattr(result, key)
    return '' if value is None else f'{value}' if result.verified else f'{value}?'


def _signed(gap: Optional[float]) -> str:
    if gap is None:
        return ''
    return f'{gap:+.2f}' if 0 < abs(gap) < 1 else f'{gap:+.1f}' if gap else '='


def _input(e: Entry) -> str:
    if e.result.flops_input:
        return size_text(e.result.flops_input)
    return '' if e.cost is None else f'({size_text(e.cost.size)})'


def size_text(size: Optional[Tuple[int, int]]) -> Optional[str]:
    """HEIGHTxWIDTH"""
    return size and f'{size[0]}x{size[1]}'
