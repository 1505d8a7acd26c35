"""Compares backbones: published results, counted cost, own runs.

    python tools/compare.py --method mask_rcnn --schedule 1x
    python tools/compare.py --family cswin swin --format csv --out table.csv
    python tools/compare.py --method upernet --runs work_dirs --plot upernet.svg --html comparison.html
    python tools/compare.py --method classification
    python tools/compare.py --under mmdet::retinanet/retinanet_r50_fpn_1x_coco.py --family swin pvt_v2

Counts whole detectors, segmentors and classifiers on the meta device (a third of a second each). Own runs stand beside the
row that has their backbone, method, schedule and pre-training, or in a row of their own. --update-docs writes the tables
of README.md and docs/model_zoo.md, and model-index.yml with its metafiles.
"""
import argparse
import os
import sys
import textwrap
from pathlib import Path

from rich.console import Console
from rich.progress import track

from mmvit_backbones import list_backbones
from mmvit_backbones.engine.config import INSTALL, UsageError, load_config, run
from mmvit_backbones.files import replacing
from mmvit_backbones.results import (FAMILIES, METHODS, compare, compare_under, config_name, find_runs, load_results,
                                     own_rows, read_run, read_speed, to_csv, to_markdown, to_rich)

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / 'configs'


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    rows = parser.add_argument_group('rows (all of detection and segmentation, unless chosen)')
    rows.add_argument('--family', nargs='+', metavar='NAME', help=f'of {", ".join(FAMILIES)}')
    rows.add_argument('--method', nargs='+', metavar='NAME', help=f'such as {", ".join(METHODS)}; classification')
    rows.add_argument('--schedule', nargs='+', metavar='NAME', help='such as 1x, 3x, 160k')
    rows.add_argument('--pretrain', nargs='+', metavar='NAME', help='such as in1k, in22k, moby')
    rows.add_argument('--config', nargs='+', metavar='NAME', help='configs, with or without folder and ending')
    parser.add_argument(
        '--under', metavar='CONFIG',
        help="all backbones, or those of --family, in the model of this config, ours, yours or OpenMMLab's (mmdet::...), with "
        'their published ImageNet top-1')
    parser.add_argument('--runs', nargs='+', metavar='DIR', help='work directories of own runs, or folders of such')
    parser.add_argument('--speed', metavar='FILE', help='measurements of the backbones, from tools/benchmark.py --json FILE')
    parser.add_argument('--no-count', action='store_true', help='published figures alone')
    parser.add_argument('--format', choices=['table', 'markdown', 'csv'], default='table', help='[%(default)s]')
    parser.add_argument('--out', metavar='FILE', help='write the table there instead of printing it')
    parser.add_argument('--plot', metavar='FILE', help='draw accuracy against cost: a .png, .svg or .pdf file')
    parser.add_argument('--html', metavar='FILE', help='write a page to sort, filter and plot in a browser, without a network')
    parser.add_argument('--update-docs', action='store_true', help="write the repository's tables and model index")
    return parser.parse_args()


def choose(args, runs):
    """The rows that are asked for, among them those of own runs that no paper has.

    Raises:
        UsageError: No row has a value, or no row has all of them.
    """
    every = load_results()
    every += own_rows(runs, every)
    rows = every if args.method else [row for row in every if row.task != 'imagenet']
    for key in ('family', 'method', 'schedule', 'pretrain', 'config'):
        wanted = getattr(args, key)
        if not wanted:
            continue
        if key == 'config':
            wanted = [config_name(name) for name in wanted]
        known = list(dict.fromkeys(value for value in (getattr(row, key) for row in every) if value))
        for value in wanted:
            if value not in known:
                raise UsageError(f'--{key} {value}: there is no such row. Known: {", ".join(known)}')
        rows = [row for row in rows if getattr(row, key) in wanted]
    if not rows:
        raise UsageError('No row has all of what was asked for. Leave out one of --family, --method, --schedule, --pretrain, '
                         '--config')
    return rows


def under(args):
    """The config of --under, and the names of the backbones to put into it.

    Raises:
        UsageError: There is no such config or family, or an option for published rows is given.
    """
    for key in ('method', 'schedule', 'pretrain', 'config', 'no_count'):
        if getattr(args, key):
            raise UsageError(f'--under is about one config and counts; give no --{key.replace("_", "-")} with it')
    for family in args.family or ():
        if family not in FAMILIES:
            raise UsageError(f'--family {family}: there is no such family. Known: {", ".join(FAMILIES)}')
    cfg = load_config(args.under)
    return cfg, [name for name in list_backbones() if name.split('/')[0] in (args.family or FAMILIES)]


def write(path, text):
    """Writes a file as a whole or not at all."""
    try:
        with replacing(Path(path)) as part:
            part.write_text(text, encoding='utf-8')
    except OSError as error:
        raise UsageError(f'{path} could not be written: {error}') from error


def main():
    args = parse_args()
    if args.update_docs and any(value for key, value in vars(args).items() if key not in ('update_docs', 'format')):
        raise UsageError('--update-docs writes all rows; give no other option with it')
    if args.update_docs and not (ROOT / 'README.md').is_file():
        raise UsageError(f"--update-docs writes the README and the tables of the repository, but {ROOT} is not one: call a checkout's "
                         'tools/compare.py')
    runs = [read_run(folder, CONFIGS) for folder in find_runs(args.runs or ())]
    speed = read_speed(args.speed) if args.speed else None
    errors = Console(stderr=True)

    def progress(rows):
        return track(rows, 'counting', console=errors, transient=True)

    try:
        if args.under:
            entries = compare_under(*under(args), runs, speed, progress)
        else:
            entries = compare(choose(args, runs), None if args.no_count else CONFIGS, runs, speed, progress)
    except ModuleNotFoundError as error:
        raise UsageError(f'Counting needs the package {error.name!r}, which is not installed. {INSTALL}, or give '
                         '--no-count') from error
    other = [run for run in runs if all(run not in entry.runs for entry in entries)]
    if other:
        errors.print('Runs without a row here: ' + ', '.join(f'{run.work_dir} ({run.name})' for run in other), style='yellow',
                     markup=False)
    if args.update_docs:
        from mmvit_backbones.results.documents import documents
        for path, text in documents(ROOT, entries).items():
            write(path, text)
            print(path.relative_to(ROOT))
        return
    if args.plot:
        from mmvit_backbones.results.plot import plot
        drawn = plot(entries, args.plot)
        print(f'{args.plot}: {drawn} points', file=sys.stderr)
    if args.html:
        from mmvit_backbones.results.page import to_html
        write(args.html, to_html(entries))
        print(args.html, file=sys.stderr)
    measured = speed and f'ms, images/s, peak GiB: of the backbone alone, measured; {speed.conditions}.'
    if args.format != 'table':
        text = to_csv(entries) if args.format == 'csv' else to_markdown(entries)
        if speed and args.format == 'markdown':
            text += f'\n{measured}\n'
        write(args.out, text) if args.out else print(text, end='')
        return
    # As wide as the tables are: they are not cut off, wherever the output goes.
    console = Console(width=1000, record=bool(args.out), file=open(os.devnull, 'w') if args.out else None)
    for part in [*to_rich(entries), *([measured] if speed else [])]:
        console.print(textwrap.fill(part, 120) if isinstance(part, str) else part, markup=False, highlight=False)
    if args.out:
        write(args.out, console.export_text())


if __name__ == '__main__':
    run(main)
