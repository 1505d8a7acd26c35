"""Accuracy against cost, one line a family."""
from pathlib import Path
from typing import Dict, List, Sequence, Tuple, Union

from ..files import replacing
from .published import FAMILIES, SCORES, ResultsError
from .table import TITLES, Entry, by_method, score, size_text

# Colours that differ in lightness as well, so that a print in grey keeps some of it; markers tell the rest.
COLOURS = ('#0b3c8c', '#d1495b', '#2e8b57', '#8c510a', '#7b3fa0', '#e08214', '#1b9aaa', '#4d4d4d', '#c51b7d', '#5aae61',
           '#6a6fd8', '#a6761d')
MARKERS = 'osD^vP*Xp<>h'
FORMATS = '.png', '.svg', '.pdf'


def points(entries: Sequence[Entry]) -> Dict[Tuple[str, str], Dict[Tuple[str, str, str], List[Entry]]]:
    """{(method, schedule): {(family, pre-training, what stands behind it): its rows with a score and a counted cost}}

    Of several rows of one config the first with a score stands for all. Multi-scale results alone are left out.
    """
    panels: Dict[Tuple[str, str], Dict[Tuple[str, str, str], List[Entry]]] = {}
    for method, group in by_method(entries).items():
        seen = set()
        for e in group:
            row = e.result
            name = row.config or row.name
            if e.common is None or name in seen or score(row) is None:
                continue
            seen.add(name)
            lines = panels.setdefault((method, row.schedule), {})
            lines.setdefault((row.family, row.pretrain, behind(e)), []).append(e)
    return panels


def plot(entries: Sequence[Entry], path: Union[str, Path]) -> int:
    """Draws the entries that have a published score and a counted cost, two panels for each method and schedule.

    Finished own runs are stars.

    Args:
        entries: What to draw.
        path: Of the picture, ending in .png, .svg or .pdf.

    Returns:
        How many of the entries are drawn.

    Raises:
        ResultsError: The ending is another, there is nothing to draw, or the file can't be written.
    """
    import matplotlib
    from matplotlib.figure import Figure
    if Path(path).suffix not in FORMATS:
        raise ResultsError(f'A plot is a file that ends in {", ".join(FORMATS)}, but got {path}')
    panels = points(entries)
    if not panels:
        raise ResultsError('There is nothing to plot: no row has both a published score and a counted cost')
    style = {family: (colour(family), MARKERS[(i + shape(family)) % len(MARKERS)]) for i, family in enumerate(FAMILIES)}
    with matplotlib.rc_context({'font.size': 9, 'svg.fonttype': 'none', 'axes.spines.top': False, 'axes.spines.right': False}):
        figure = Figure(figsize=(11, 4.6 * len(panels)), layout='constrained')
        handles = {}
        for (left, right), ((method, schedule), lines) in zip(figure.subplots(len(panels), 2, squeeze=False, sharey='row'),
                                                              panels.items()):
            drawn = [e for rows in lines.values() for e in rows]
            shown = score(drawn[0].result)
            size = ' or '.join(size_text(size) for size in sorted({e.common.size for e in drawn}))
            for axis, value, title in (
                    (left, lambda e: e.common.macs.all / 1e9, f'GMACs of the whole model at {size}, attention included'),
                    (right, lambda e: e.common.params / 1e6, 'parameters of the whole model in millions')):
                for (family, pretrain, _), rows in lines.items():
                    rows = sorted(rows, key=value)
                    tint, marker = style[family]
                    line, fill = dict(in1k=('-', tint), in22k=(':', 'white')).get(pretrain, ('--', '0.8'))
                    xs, ys = [value(e) for e in rows], [getattr(e.result, shown) for e in rows]
                    label = FAMILIES[family] + ('' if pretrain == 'in1k' else f', {pretrain}')
                    handles[label], = axis.plot(
                        xs, ys, color=tint, marker=marker, markersize=6, linewidth=1.4, linestyle=line,
                        markerfacecolor=fill)
                    for e, x, y in zip(rows, xs, ys):
                        axis.annotate(
                            short_name(e), (x, y), (0, 5), textcoords='offset points', ha='center', fontsize=7, color=tint)
                        for run in e.runs:
                            if (run.finished or run.weights) and shown in run.last:
                                handles['own run'], = axis.plot(
                                    x, run.last[shown], '*', markersize=12, color='black', markerfacecolor=tint)
                axis.set_xlabel(title)
                axis.grid(alpha=.25)
                axis.margins(.06, .1)
            left.set_ylabel(f'{SCORES[shown]}, published')
            left.set_title(f'{TITLES.get(method, method)}, {schedule}', loc='left', fontweight='bold')
        names = [*FAMILIES.values(), 'own run']
        labels = sorted(handles, key=lambda label: (names.index(label.split(',')[0]), label))
        figure.legend([handles[label] for label in labels], labels, loc='outside right upper', frameon=False,
                      ncols=1 + len(labels) // (24 * len(panels)))
        try:
            with replacing(Path(path)) as part:
                figure.savefig(part, dpi=200, format=Path(path).suffix[1:])
        except OSError as error:
            raise ResultsError(f'{path} could not be written: {error}') from error
    return sum(len(rows) for lines in panels.values() for rows in lines.values())


def colour(family: str) -> str:
    """The colour of a family, in every plot the same."""
    return COLOURS[list(FAMILIES).index(family) % len(COLOURS)]


def shape(family: str) -> int:
    """How many families before it have its colour: the two together tell a family."""
    return list(FAMILIES).index(family) // len(COLOURS)


def behind(e: Entry) -> str:
    """What a row has behind its backbone, such as ' + MLN'; '' for nothing."""
    return ''.join(e.result.backbone.partition(' + ')[1:])


def short_name(e: Entry) -> str:
    """A variant in few letters, without family, patches and head, with what stands behind it, and with a question mark where
    its score is not verified: T, B2-LI, B-224 + MLN, S?"""
    family = e.result.family
    own = {*family.split('_'), family.replace('_', ''), 'patch16', 'upernet'}
    sizes = dict(tiny='T', small='S', medium='M', base='B', large='L', huge='H')
    parts = [part for part in (e.result.arch or e.result.backbone).split('_') if part not in own]
    letters = '-'.join(sizes.get(part, part.upper()) for part in parts) + (behind(e) if e.result.arch else '')
    return letters if e.result.verified else f'{letters}?'
