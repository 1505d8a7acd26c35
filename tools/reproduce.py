"""Reproduces a published row: checks data and weights, trains, evaluates, and compares.

    python tools/reproduce.py maskrcnn_cswin_t_coco
    python tools/reproduce.py cswin/tiny/mask_rcnn/1x --data-root /data/coco --run
    python tools/reproduce.py upernet_swin_t_ade20k --dry-run
    python tools/reproduce.py maskrcnn_swin_t_coco --backbone pvt_v2/b2        # that recipe with another backbone

A row is named by its config or by <family>/<variant>/<method>/<schedule>/<pretrain>, or the beginning of that. Without
--run the commands are printed. A run that was interrupted goes on, and one that has finished is only evaluated. Its
result stands in the table of tools/compare.py --runs WORK_DIR, which is the last command.
"""
import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import torch

from mmvit_backbones.checkpoints import CheckpointError, locate
from mmvit_backbones.engine.config import (DATA_ADVICE, Options, UsageError, add_backbone_argument, load_config,
                                           missing_data, remove_pretrained, run, run_name)
from mmvit_backbones.results import SCORES, find_logs, load_results, read_recipe, read_run, resolve, training_length

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(os.path.relpath(ROOT))


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('names', nargs='+', metavar='ROW|CONFIG', help='what to reproduce, one after the other')
    add_backbone_argument(parser)
    parser.add_argument('--no-pretrained', action='store_true', help='train from random weights')
    parser.add_argument('--data-root', help='folder of the data set, in place of the one that the config names')
    parser.add_argument(
        '--work-dirs', default='work_dirs', metavar='DIR', help='folder with a work directory for each config [%(default)s]')
    parser.add_argument(
        '--gpus', type=int, metavar='N',
        help="GPUs of this machine to train on [those that are here, or where there are none the authors' number]; 0 trains on the "
        "CPU. The learning rate is scaled where it is not the authors' number")
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='handed on to training and evaluation')
    what = parser.add_mutually_exclusive_group()
    what.add_argument('--run', action='store_true', help='run the commands')
    what.add_argument('--dry-run', action='store_true', help='print the commands even if something is missing')
    return parser.parse_args()


def configs(names):
    """{config: its rows} for the names of rows and configs."""
    results = load_results()
    found = {}
    for name in names:
        rows = resolve(name, results)
        chosen = {row.config for row in rows if row.config}
        if not chosen:
            raise UsageError(f'{name}: no config for {rows[0].method} with {rows[0].backbone} is in this package; its published '
                             'figures are data only')
        if len(chosen) > 1:
            raise UsageError(f'{name} is several rows. Choose of {", ".join(sorted(chosen))}')
        config = chosen.pop()
        found[config] = [row for row in results if row.config == config]
    return found


def published(row):
    """What a row reports, as a sentence."""
    scores = [f'{title} {getattr(row, key)}' for key, title in SCORES.items() if getattr(row, key) is not None]
    return f'published: {", ".join(scores) or "nothing"}{"" if row.verified else ", not verified"} ({row.source})'


def check(cfg):
    """What is missing, and what else is to be known, as sentences."""
    missing, notes = [], []
    data = missing_data(cfg, 'train_dataloader', 'val_dataloader', 'val_evaluator')
    if data:
        missing += [*data, DATA_ADVICE]
    source = ((cfg.model.get('backbone') or {}).get('init_cfg') or {}).get('checkpoint')
    if source is None:
        notes.append('This trains from random weights')
    else:
        try:
            path = locate(source, fetch=False)
            if path.is_file():
                notes.append(f'weights: {path}')
            elif '://' in source:
                notes.append(f'weights: {source} will be fetched to {path}')
            else:
                missing.append(f'The weights {path} do not exist')
        except CheckpointError as error:
            missing.append(str(error))
    return missing, notes


def commands(config, cfg, rows, args):
    """The commands that reproduce a config: training unless it is done, evaluation with several scales where that is
    published, the table."""
    path, tools = HERE / 'configs' / f'{config}.py', HERE / 'tools'
    work_dir = Path(args.work_dirs, run_name(path, args.backbone))
    docs = re.search(rf'dist_train\.sh configs/{config}\.py (\d+)(.*)', path.read_text(encoding='utf-8'))
    theirs, flags = int(docs[1]), docs[2].split()
    gpus = args.gpus if args.gpus is not None else torch.cuda.device_count() or theirs
    options = (['--data-root', args.data_root] if args.data_root else []) + ['--work-dir', work_dir]
    settings = ['--cfg-options', *args.cfg_options] if args.cfg_options else []
    backbone = ['--backbone', args.backbone] if args.backbone else []
    found = []
    done = read_run(work_dir, HERE / 'configs') if find_logs(work_dir) else None
    if done is None or not done.finished:
        train = ['bash', tools / 'dist_train.sh', path, gpus] if gpus > 1 else ['python', tools / 'train.py', path]
        train += backbone + (['--no-pretrained'] if args.no_pretrained else [])
        train += flags if gpus else []  # mixed precision needs a GPU
        train += ['--auto-scale-lr'] if max(gpus, 1) != theirs else []
        saved = [path for pattern in ('last_checkpoint', 'epoch_*.pth', 'iter_*.pth') for path in work_dir.glob(pattern)]
        train += ['--resume'] if saved else []
        found.append(train + options + settings)
    length, unit = training_length(cfg, path)
    last = f'{dict(epochs="epoch", iterations="iter")[unit]}_{length}.pth'
    if any(row.miou_ms is not None for row in rows) and (done is None or 'miou_ms' not in done.last):
        found.append(['python', tools / 'test.py', path, work_dir / last, '--tta', *backbone, *options, *settings])
    rows = ['--family', args.backbone.split('/')[0], '--method', read_recipe(cfg, path).method] if args.backbone else ['--config', config]
    found.append(['python', tools / 'compare.py', *rows, '--runs', work_dir])
    return [[str(part) for part in command] for command in found]


def main():
    args = parse_args()
    chosen = configs(args.names)
    if args.gpus is not None and args.gpus < 0:
        raise UsageError(f'--gpus must be 0 or more, but is {args.gpus}')
    if args.run and args.gpus is None and not torch.cuda.is_available():
        raise UsageError('There is no GPU here. --gpus 0 trains on the CPU, for weeks; without --run the commands are printed')
    options = argparse.ArgumentParser()
    options.add_argument('--cfg-options', nargs='+', action=Options)
    options = options.parse_args(['--cfg-options', *args.cfg_options] if args.cfg_options else []).cfg_options
    plans, lacking = [], []
    for config, rows in chosen.items():
        cfg = load_config(
            str(ROOT / 'configs' / f'{config}.py'), args.data_root, options, args.backbone, not args.no_pretrained)
        if args.no_pretrained:
            remove_pretrained(cfg)
        missing, notes = check(cfg)
        lacking += [sentence for sentence in missing if sentence not in lacking]
        if args.backbone:
            notes.insert(0, f'with the backbone {args.backbone} in place of that one')
        plans.append((config, [*map(published, rows), *notes], commands(config, cfg, rows, args)))
    for config, notes, lines in plans:
        print('\n'.join([f'# {config}', *(f'# {note}' for note in notes), *(shlex.join(line) for line in lines), '']), flush=True)
    if lacking:
        text = 'missing:\n' + '\n'.join(f'  {sentence}' for sentence in lacking)
        if not args.dry_run:
            raise UsageError(text)
        print(text)
    if args.run:
        # `python` is the one that runs this
        environment = dict(os.environ, PATH=f'{Path(sys.executable).parent}{os.pathsep}{os.environ.get("PATH", "")}')
        for _, _, lines in plans:
            for line in lines:
                status = subprocess.run(line, env=environment).returncode
                if status:
                    raise UsageError(f'{shlex.join(line)} ended with status {status}. Repeat this command to go on from there')


if __name__ == '__main__':
    run(main)
