"""Writes the authors' weights in this package's layout: python tools/convert_checkpoint.py IN OUT [--arch NAME]

Prints what became of every key. Training needs no conversion: init_cfg takes the authors' files as they are.
"""
import argparse
from pathlib import Path

import torch
from mmengine.registry import MODELS

from mmvit_backbones.checkpoints import convert, identify, locate, read_checkpoint
from mmvit_backbones.engine.config import UsageError, add_trust_argument, check_folder, run
from mmvit_backbones.engine.recipe import find_backbone
from mmvit_backbones.files import replacing


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', metavar='IN', help='file, URL or mmvit://<family>/<variant>')
    parser.add_argument('target', metavar='OUT', help='file to write')
    parser.add_argument('--arch', metavar='FAMILY/VARIANT', help='what it is; recognised from its keys and shapes')
    add_trust_argument(parser)
    return parser.parse_args()


def main():
    args = parse_args()
    if args.arch:
        find_backbone(args.arch)
    target = Path(args.target)
    check_folder(target.parent, 'OUT')
    if target.is_dir():
        raise UsageError(f'OUT {target} is a folder. Name the file to write')
    path = locate(args.source)
    checkpoint = read_checkpoint(path, trust=args.trust)
    names = [args.arch] if args.arch else identify(checkpoint)
    if not names:
        raise UsageError(f'{path} fits none of the backbones of this package. Name the nearest with --arch to see '
                         'what differs.')
    with torch.device('meta'):
        model = MODELS.build(find_backbone(names[0]))
    state, report = convert(model, checkpoint, source=str(path))
    with replacing(target) as part:
        torch.save(dict(state_dict=state, meta=dict(arch=names[0], source=path.name)), part)
    for title in ('loaded', 'resized', 'new', 'dropped'):
        keys = list(getattr(report, title))
        print(f'{title}: {len(keys)}')
        if title != 'loaded':
            for key in keys:
                print(f'  {key}')
    print(f'{" or ".join(names)}: {report}\nwritten to {target}')


if __name__ == '__main__':
    run(main)
