"""Measures backbones: python tools/benchmark.py cswin/tiny cswin/small --size 800x1344 [options]
or whole models, from images to predictions or gradients: python tools/benchmark.py CONFIG [--backbone NAME] [options]

Parameters; multiply-adds (attention products counted) and FLOPs (twice as many); median latency of a batch and the spread
of its middle half; images a second; peak memory; and which share of this machine's own rate of matrix multiplication the
arithmetic reached. Training counts the backward pass as twice the forward pass. What is compared takes turns: a
multiplication, a backbone, and with --peer the same backbone of another package, with the same weights, once it was seen
to give the same levels. OMP_NUM_THREADS sets the number of threads.
"""
import argparse
import json
import multiprocessing
import platform
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import torch
from mmengine.registry import MODELS
from rich.console import Console
from rich.progress import track
from rich.table import Table

from mmvit_backbones import list_backbones
from mmvit_backbones.backbones.base import MIN_SIZE
from mmvit_backbones.engine import count_macs
from mmvit_backbones.engine.config import (INSTALL, UsageError, add_backbone_argument, check_device, check_folder,
                                           image_size, load_config, run, run_name)
from mmvit_backbones.engine.errors import near
from mmvit_backbones.engine.examples import WholeModel
from mmvit_backbones.engine.machine import available_cpus, cpu_model, keep_memory, limit_threads
from mmvit_backbones.engine.peers import build_peer, difference, same_weights
from mmvit_backbones.files import replacing

DTYPES = dict(float32=torch.float32, float16=torch.float16, bfloat16=torch.bfloat16)
PEERS = dict(timm=('timm', 'pip install timm'), mmdet=('mmdet.models', INSTALL))
"""{package: (module with its models, how it is installed)}"""
SIZES = dict(small=25, base=85)
"""{name of a size: million parameters}; a family's variant of that size is the one that is nearest."""
SAME = 1e-4
"""Standard deviations by which levels of one function may differ where float32 rounds differently."""


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'names', nargs='+', metavar='NAME|CONFIG', help='<family>/<variant>; <family> for all of its variants; small or base for '
        'the variant of every family, of those with published weights where it has any, that is nearest to 25 or 85 million '
        'parameters; or a config file')
    add_backbone_argument(parser)
    parser.add_argument('--size', type=image_size, default=(800, 1344), help='HEIGHTxWIDTH in pixels [800x1344]')
    parser.add_argument('--batch', type=int, default=1, help='images a batch [%(default)s]')
    parser.add_argument('--mode', choices=['infer', 'train'], default='infer', help='[%(default)s]')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu', help='[%(default)s]')
    parser.add_argument(
        '--dtype', choices=DTYPES, default='float32', help='others run under autocast [%(default)s]')
    parser.add_argument('--compile', action='store_true', help='with torch.compile')
    parser.add_argument('--with-cp', action='store_true', help='with activation checkpointing')
    parser.add_argument('--peer', choices=PEERS, help='beside it the same model as this package has it, where it has one')
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
        if name in SIZES:
            found = of_size(name)
        else:
            found = [name] if is_config(name) else [key for key in known if name in (key, key.split('/')[0])]
        if not found:
            raise UsageError(f'{name} is neither <family>/<variant> nor a family of mmvit_backbones.list_backbones(), '
                             f'{" or ".join(SIZES)}, or a config file (.py).{near(name, known)}')
        chosen += found
    return list(dict.fromkeys(chosen))


def of_size(size):
    """The variant of every family that is nearest to a size."""
    found = []
    for family in dict.fromkeys(name.split('/')[0] for name in list_backbones()):
        names = list_backbones(f'{family}/*', pretrained=True) or list_backbones(f'{family}/*')
        found.append(min(names, key=lambda name: abs(parameters(name) / 1e6 - SIZES[size])))
    return found


@lru_cache(maxsize=None)
def parameters(name):
    with torch.device('meta'):
        return sum(p.numel() for p in MODELS.build(list_backbones()[name]).parameters())


def with_peer(names, args):
    """Those of some backbones that ``--peer`` has too.

    Raises:
        UsageError: It is not installed, or has none of them.
    """
    if find_spec(args.peer) is None:
        raise UsageError(f'--peer {args.peer}: {args.peer} is not installed. {PEERS[args.peer][1]}')
    with torch.device('meta'):
        found = [name for name in names if build_peer(args.peer, name, args.size)]
    if not found:
        raise UsageError(f'{args.peer} has none of {", ".join(names)}, or none whose weights fit')
    others = [name for name in names if name not in found]
    if others:
        print(f'not in {args.peer}: {", ".join(others)}')
    return found


def is_config(name):
    return name.endswith('.py')


def build(name, args, **options):
    """A backbone or a whole model, and images for it."""
    if is_config(name):
        model = WholeModel(read(name, args), args.batch, args.size)
        return model, model.images
    return MODELS.build(dict(list_backbones()[name], with_cp=args.with_cp, **options)), torch.randn(args.batch, 3, *args.size)


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


def timed(functions, runs, device, title):
    """{name: seconds of each run} of functions that take turns, so that what else the machine does slows all of them."""
    seconds = {name: [] for name in functions}
    for _ in track(range(runs), description=title, transient=True):
        for name, function in functions.items():
            synchronize(device)
            start = time.perf_counter()
            function()
            synchronize(device)
            seconds[name].append(time.perf_counter() - start)
    return seconds


def peak_of_process():
    """Bytes of memory that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)


def step(model, levels, images, args):
    """What is timed: levels without gradients, or with the backward pass."""
    dtype = DTYPES[args.dtype]
    autocast = nullcontext() if dtype == torch.float32 else torch.autocast(images.device.type, dtype)
    levels = torch.compile(levels) if args.compile else levels

    def infer():
        with torch.no_grad(), autocast:
            levels(images)

    def train():
        with autocast:
            loss = sum(out.float().mean() for out in levels(images))
        loss.backward()
        model.zero_grad(set_to_none=True)

    model.train(args.mode == 'train')
    return infer if args.mode == 'infer' else train


def distance(ours, peer, images):
    """Gives both models the same weights; returns by how many standard deviations the levels that they compute differ."""
    same_weights(ours, peer.model)
    ours.eval()
    exact = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    with torch.no_grad():
        found = difference(ours(images), peer.levels(images))
    torch.backends.cudnn.allow_tf32 = exact
    return found


def measure(name, args):
    """What is known of one backbone, in a process of its own: its peak memory is its own too."""
    limit_threads()
    if args.mode == 'infer':
        keep_memory()
    device, dtype = torch.device(args.device), DTYPES[args.dtype]
    n = 8192 if device.type == 'cuda' else 2048
    a, b, product = torch.randn(3, n, n, device=device, dtype=dtype)
    functions = dict(matmul=lambda: torch.mm(a, b, out=product))
    functions['matmul']()
    peer = build_peer(args.peer, name, args.size) if args.peer else None
    if device.type == 'cuda':
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
    else:
        before = peak_of_process()
    model, images = build(name, args, **(peer.options if peer else {}))
    model, images = model.to(device), images.to(device)
    params, macs = cost(name, model, images)
    functions['ours'] = step(model, model, images, args)
    for _ in range(2):
        functions['ours']()
    memory = (torch.cuda.max_memory_allocated(device) if device.type == 'cuda' else peak_of_process()) - before
    theirs = {}
    if peer:
        peer.model.to(device)
        theirs = dict(peer=peer.name, difference=distance(model, peer, images))
        if theirs['difference'] > SAME:
            return dict(name=name, **theirs)
        model.train(args.mode == 'train')
        functions['theirs'] = step(peer.model, peer.levels, images, args)
        for _ in range(2):
            functions['theirs']()
    seconds = timed(functions, args.runs, device, name)
    medians = {key: statistics.median(values) for key, values in seconds.items()}
    if peer:
        theirs.update(peer_latency=medians['theirs'])
    quartiles = statistics.quantiles(seconds['ours'], n=4) if args.runs > 1 else [medians['ours']] * 3
    rate = 2 * n**3 / medians['matmul']
    flops = 2 * macs * args.batch * (3 if args.mode == 'train' else 1)
    title = run_name(name, args.backbone) if is_config(name) else name
    return dict(
        name=title, params=params, macs=macs, flops=2 * macs, latency=medians['ours'],
        latency_q1=quartiles[0], latency_q3=quartiles[2], images_per_second=args.batch / medians['ours'], peak_memory=memory,
        matmul_rate=rate, share_of_matmul_rate=flops / medians['ours'] / rate, **theirs)


def show(rows, args):
    rate = statistics.median(row['matmul_rate'] for row in rows)
    table = Table(
        title=f'{args.mode}, {args.batch} x {args.size[0]}x{args.size[1]}, {args.dtype} on {args.device}'
        f'{", compiled" if args.compile else ""}{", checkpointed" if args.with_cp else ""}; '
        f'matrix multiplication {rate / 1e12:.3g} TFLOP/s')
    table.add_column('model', overflow='fold')
    peer = [f'{args.peer} ms', 'times as fast'] if args.peer else []
    for title in ('params M', 'GMACs', 'GFLOPs', 'ms', 'middle half', 'images/s', 'peak GiB', 'of matmul', *peer):
        table.add_column(title, justify='right', no_wrap=True)
    for row in rows:
        peer = [f'{row["peer_latency"] * 1e3:.1f}', f'{row["peer_latency"] / row["latency"]:.2f}'] if args.peer else []
        table.add_row(
            row['name'], f'{row["params"] / 1e6:.2f}', f'{row["macs"] / 1e9:.1f}', f'{row["flops"] / 1e9:.1f}',
            f'{row["latency"] * 1e3:.1f}', f'{row["latency_q1"] * 1e3:.1f}-{row["latency_q3"] * 1e3:.1f}',
            f'{row["images_per_second"]:.2f}', f'{row["peak_memory"] / 2**30:.2f}', f'{row["share_of_matmul_rate"]:.0%}', *peer)
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
    if args.peer:
        if any(map(is_config, names)):
            raise UsageError(f'--peer {args.peer} has backbones to compare, not whole models. Name backbones')
        names = with_peer(names, args)
    # A process for each backbone, a copy of one that has imported everything and computed nothing.
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['__main__', *([PEERS[args.peer][0]] if args.peer else [])])
    rows = []
    for name in names:
        with ProcessPoolExecutor(1, context) as pool:
            try:
                rows.append(pool.submit(measure, name, args).result())
            except BrokenProcessPool as error:
                raise UsageError(f'{name}: its process was killed, as systems do where memory runs out. Choose a '
                                 'smaller --size or --batch') from error
    apart = [f'{row["peer"]} is not the same function as {row["name"]} at this size: levels differ by {row["difference"]:.2g} '
             'standard deviations' for row in rows if row.get('difference', 0) > SAME]
    rows = [row for row in rows if row.get('difference', 0) <= SAME]
    if not rows:
        raise UsageError(f'{apart[0]}, so there is nothing to compare. Choose another --size, such as 448x448, or leave out '
                         '--peer')
    for sentence in apart:
        print(sentence)
    show(rows, args)
    if args.json:
        settings = {key: value for key, value in vars(args).items() if key != 'json'}
        machine = dict(
            platform=f'{platform.system()} {platform.machine()}', cpu=cpu_model(), cpus=available_cpus(),
            torch=torch.__version__, threads=torch.get_num_threads())
        if args.device.startswith('cuda'):
            machine['gpu'] = torch.cuda.get_device_name(args.device)
        with replacing(Path(args.json)) as part:
            part.write_text(json.dumps(dict(settings=settings, machine=machine, rows=rows), indent=1))
        print(f'figures in {args.json}')


if __name__ == '__main__':
    run(main)
