"""Measures backbones: python tools/benchmark.py cswin/tiny cswin/small --size 800x1344 [options]
or whole models, from images to predictions or gradients: python tools/benchmark.py CONFIG [--backbone NAME] [options]

Parameters; multiply-adds (attention products counted) and FLOPs (twice as many); median latency of a batch and the spread
of its middle half; images a second; peak memory; and which share of this machine's own rate of matrix multiplication,
measured at the start, the arithmetic reached. Training counts the backward pass as twice the forward pass.
"""
import argparse
import json
import multiprocessing
import platform
import resource
import statistics
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import torch
from mmengine.registry import MODELS
from rich.console import Console
from rich.progress import track
from rich.table import Table

from mmvit_backbones import list_backbones
from mmvit_backbones.backbones.base import MIN_SIZE
from mmvit_backbones.engine import count_macs
from mmvit_backbones.engine.config import (UsageError, add_backbone_argument, check_device, check_folder, image_size,
                                           load_config, run, run_name)
from mmvit_backbones.engine.examples import WholeModel
from mmvit_backbones.files import replacing

DTYPES = dict(float32=torch.float32, float16=torch.float16, bfloat16=torch.bfloat16)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'names', nargs='+', metavar='NAME|CONFIG', help='<family>/<variant>, <family> for all of its variants, or config')
    add_backbone_argument(parser)
    parser.add_argument('--size', type=image_size, default=(800, 1344), help='HEIGHTxWIDTH in pixels [800x1344]')
    parser.add_argument('--batch', type=int, default=1, help='images a batch [%(default)s]')
    parser.add_argument('--mode', choices=['infer', 'train'], default='infer', help='[%(default)s]')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu', help='[%(default)s]')
    parser.add_argument(
        '--dtype', choices=DTYPES, default='float32', help='others run under autocast [%(default)s]')
    parser.add_argument('--compile', action='store_true', help='with torch.compile')
    parser.add_argument('--with-cp', action='store_true', help='with activation checkpointing')
    parser.add_argument('--runs', type=int, default=10, help='timed runs after two for warming up [%(default)s]')
    parser.add_argument('--json', metavar='FILE', help='keep the figures, unrounded')
    return parser.parse_args()


def choose(names):
    """The names of `list_backbones` that are meant.

    Raises:
        UsageError: One is not known.
    """
    known = list_backbones()
    chosen = []
    for name in names:
        found = [name] if name in known or is_config(name) else [key for key in known if key.split('/')[0] == name]
        if not found:
            raise UsageError(f'{name} is not known. Known: {", ".join(known)}')
        chosen += found
    return chosen


def is_config(name):
    return name.endswith('.py')


def build(name, args):
    """A backbone or a whole model, and images for it."""
    if is_config(name):
        model = WholeModel(read(name, args), args.batch, args.size)
        return model, model.images
    return MODELS.build(dict(list_backbones()[name], with_cp=args.with_cp)), torch.randn(args.batch, 3, *args.size)


def read(name, args):
    """A config with what the arguments ask of its backbone."""
    cfg = load_config(name, backbone=args.backbone, pretrained=False)
    if args.with_cp:
        cfg.model.backbone.with_cp = True
    return cfg


def cost(name, model, images):
    """Parameters, and multiply-adds for one image; those of a whole model as it predicts on the images that are timed."""
    params = sum(p.numel() for p in model.parameters())
    model.eval()
    if is_config(name):
        return params, count_macs(lambda: model(images)).all // len(images)
    with torch.device('meta'):
        model = MODELS.build(list_backbones()[name]).eval()
    return params, count_macs(lambda: model(images[:1].to('meta'))).all


def synchronize(device):
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def timed(function, runs, device, title):
    """Seconds of each run, after two that are thrown away."""
    seconds = []
    for i in track(range(runs + 2), description=title, transient=True):
        synchronize(device)
        start = time.perf_counter()
        function()
        synchronize(device)
        if i > 1:
            seconds.append(time.perf_counter() - start)
    return seconds


def matmul_rate(device, dtype):
    """FLOPs a second of large square matrix multiplications, the best of ten."""
    n = 8192 if device.type == 'cuda' else 2048
    a, b = torch.randn(2, n, n, device=device, dtype=dtype).unbind()
    return 2 * n**3 / min(timed(lambda: a @ b, 10, device, f'matrix multiplication, {dtype}'))


def peak_of_process():
    """Bytes of memory that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)


def measure(name, args, rate):
    device, dtype = torch.device(args.device), DTYPES[args.dtype]
    before = peak_of_process()
    model, images = build(name, args)
    model, images = model.to(device), images.to(device)
    params, macs = cost(name, model, images)
    model.train(args.mode == 'train')
    forward = torch.compile(model) if args.compile else model
    autocast = nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)

    def infer():
        with torch.no_grad(), autocast:
            forward(images)

    def train():
        with autocast:
            loss = sum(out.float().mean() for out in forward(images))
        loss.backward()
        model.zero_grad(set_to_none=True)

    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
    seconds = timed(infer if args.mode == 'infer' else train, args.runs, device, name)
    memory = torch.cuda.max_memory_allocated(device) if device.type == 'cuda' else peak_of_process() - before
    median = statistics.median(seconds)
    quartiles = statistics.quantiles(seconds, n=4) if len(seconds) > 1 else [median] * 3
    flops = 2 * macs * args.batch * (3 if args.mode == 'train' else 1)
    title = run_name(name, args.backbone) if is_config(name) else name
    return dict(
        name=title, params=params, macs=macs, flops=2 * macs, latency=median,
        latency_q1=quartiles[0], latency_q3=quartiles[2], images_per_second=args.batch / median, peak_memory=memory,
        share_of_matmul_rate=flops / median / rate)


def show(rows, args, rate):
    table = Table(
        title=f'{args.mode}, {args.batch} x {args.size[0]}x{args.size[1]}, {args.dtype} on {args.device}'
        f'{", compiled" if args.compile else ""}{", checkpointed" if args.with_cp else ""}; '
        f'matrix multiplication {rate / 1e12:.3g} TFLOP/s')
    table.add_column('model', overflow='fold')
    for title in ('params M', 'GMACs', 'GFLOPs', 'ms', 'middle half', 'images/s', 'peak GiB', 'of matmul'):
        table.add_column(title, justify='right', no_wrap=True)
    for row in rows:
        table.add_row(
            row['name'], f'{row["params"] / 1e6:.2f}', f'{row["macs"] / 1e9:.1f}', f'{row["flops"] / 1e9:.1f}',
            f'{row["latency"] * 1e3:.1f}', f'{row["latency_q1"] * 1e3:.1f}-{row["latency_q3"] * 1e3:.1f}',
            f'{row["images_per_second"]:.2f}', f'{row["peak_memory"] / 2**30:.2f}',
            f'{row["share_of_matmul_rate"]:.0%}')
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def main():
    args = parse_args()
    names = choose(args.names)
    if args.backbone and not all(map(is_config, names)):
        raise UsageError(f'--backbone {args.backbone} takes the place of one in a CONFIG. Leave it out, or name configs '
                         'alone')
    for name in filter(is_config, names):
        read(name, args)
    if args.batch < 1 or args.runs < 1:
        raise UsageError('--batch and --runs must be at least 1')
    if min(args.size) < MIN_SIZE:
        raise UsageError(f'--size must be at least {MIN_SIZE}x{MIN_SIZE}')
    check_device(args.device)
    if args.json:
        check_folder(Path(args.json).parent, '--json')
        if Path(args.json).is_dir():
            raise UsageError(f'--json {args.json} is a folder. Name the file to write')
    rate = matmul_rate(torch.device(args.device), DTYPES[args.dtype])
    # A process for each backbone: its peak memory is its own, and the next one starts afresh.
    with multiprocessing.get_context('spawn').Pool(1, maxtasksperchild=1) as pool:
        rows = [pool.apply(measure, (name, args, rate)) for name in names]
    show(rows, args, rate)
    if args.json:
        machine = dict(platform=platform.platform(), torch=torch.__version__, threads=torch.get_num_threads())
        if args.device.startswith('cuda'):
            machine['gpu'] = torch.cuda.get_device_name(args.device)
        with replacing(Path(args.json)) as part:
            part.write_text(json.dumps(dict(settings=vars(args), machine=machine, matmul_rate=rate, rows=rows), indent=1))
        print(f'figures in {args.json}')


if __name__ == '__main__':
    run(main)
