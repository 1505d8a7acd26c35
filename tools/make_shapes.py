"""Draw the procedural set "shapes" in the layouts of COCO, ADE20K and ImageNet."""
import argparse
from pathlib import Path

from mmvit_backbones.datasets import make_shapes
from mmvit_backbones.engine.config import UsageError, run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('root', nargs='?', default='data/shapes', help='folder of the set')
    parser.add_argument('--num-train', type=int, default=1000, metavar='N', help='number of training images of each kind')
    parser.add_argument('--num-val', type=int, default=200, metavar='N', help='number of validation images of each kind')
    parser.add_argument('--size', type=int, nargs=2, default=(128, 128), metavar=('H', 'W'), help='in pixels')
    parser.add_argument('--seed', type=int, default=0, metavar='S', help='another seed gives other images')
    args = parser.parse_args()
    try:
        written = make_shapes(**vars(args))
    except (OSError, ValueError) as error:
        raise UsageError(error) from error
    print(f'{Path(args.root).resolve()}: {"written" if written else "up to date"}')


if __name__ == '__main__':
    run(main)
