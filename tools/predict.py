"""Draws what a detector or a segmentor finds on images, or prints the five best classes of a classifier:

    python tools/predict.py CONFIG CHECKPOINT IMAGES... --out DIR
    python tools/predict.py CONFIG CHECKPOINT IMAGES...
"""
import argparse
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import cv2
import torch
from mmengine.registry import DATASETS, MODELS, VISUALIZERS, init_default_scope
from mmengine.runner import load_checkpoint
from mmengine.utils import track_iter_progress

from mmvit_backbones.checkpoints import check_model, locate, read_checkpoint, use_reader
from mmvit_backbones.checkpoints.read import one_line
from mmvit_backbones.engine.config import (UsageError, add_backbone_argument, add_trust_argument, check_device,
                                           check_folder, load_config, remove_pretrained, run)
from mmvit_backbones.engine.data import class_faults, picture_fault
from mmvit_backbones.engine.machine import keep_memory

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
BEST, LEAST_SIDE, NARROW = 5, 400, 10
"""How many classes are printed; the short side in pixels of a picture that has room for the name of one, which it
gets unless it is so many times as long."""
VIDEOS = ('.avi', '.gif', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.webm', '.wmv')


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file of a detector, a segmentor or a classifier')
    parser.add_argument('checkpoint', help="checkpoint of a training run; for classifiers also the authors' file, mmvit://...")
    parser.add_argument('images', nargs='+', help='image files, or folders of them')
    parser.add_argument(
        '--out', help='folder for the pictures, which keep their names; needed but for classifiers, which print')
    parser.add_argument('--score-thr', type=float, default=.3, help='least score of a drawn detection [%(default)s]')
    parser.add_argument('--opacity', type=float, default=.5, help='of the drawn segments [%(default)s]')
    parser.add_argument('--device', default='cuda:0' if torch.cuda.is_available() else 'cpu', help='[%(default)s]')
    add_backbone_argument(parser)
    add_trust_argument(parser)
    return parser.parse_args()


def find_images(paths):
    """The image files among paths and in the folders among them.

    Raises:
        UsageError: A path does not exist or is a video, a folder holds no images, or an image can not be read.
    """
    images = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
            if not inside:
                raise UsageError(f'{path} holds no images ({" ".join(SUFFIXES)})')
            images += inside
        elif path.suffix.lower() in VIDEOS or path.name.isdecimal():
            raise UsageError(f'{path}: videos and cameras are not read here. Write their frames to a folder of images first')
        elif path.is_file():
            images.append(path)
        else:
            raise UsageError(f'There is no image {path}')
    for path in images:
        fault = picture_fault(str(path))
        if fault:
            raise UsageError(f'{path} {fault}. Get it again, or leave it out')
    return images


def check_out(out, images):
    """Looks at the folder for the pictures.

    Raises:
        UsageError: It can not be written to, a picture would replace an image or another picture, or pictures are not
            written in the format of an image.
    """
    names = [path.name for path in images]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f'Several images are called {twice[0]}; their pictures would replace each other. Run them '
                         'one by one.')
    originals = {path.resolve() for path in images}
    if any(Path(out, name).resolve() in originals for name in names):
        raise UsageError(f'--out {out} holds the images themselves, which the pictures would replace. Choose another.')
    for path in images:
        if not cv2.haveImageWriter(path.name):
            raise UsageError(f'{path}: no picture can be written under this name. Give it a name that ends in one of '
                             f'{" ".join(SUFFIXES)}')
    check_folder(out, '--out')


def read(path):
    """An image, (H, W, 3) in RGB."""
    import mmcv
    image = mmcv.imread(str(path))
    if image is None:
        raise UsageError(f'{path} is in a format that mmcv does not read. Write it as PNG or JPEG')
    return mmcv.bgr2rgb(image)


@contextmanager
def naming(path):
    """Says which image it is that OpenCV can not bring to the model, such as one of a single row.

    Raises:
        UsageError: It can not.
    """
    try:
        yield
    except AssertionError as error:
        if 'failed to load image' not in str(error):  # mmpretrain's
            raise
        raise UsageError(f'{path} is in a format that mmcv does not read. Write it as PNG or JPEG') from error
    except cv2.error as error:
        raise UsageError(f'{path} can not be brought to the model or drawn on ({error.func}: {error.err}). Leave it '
                         'out') from error


def class_names(cfg, checkpoint, source):
    """What the model's classes are called and coloured: as the checkpoint says, else as the config's data set does.

    Raises:
        UsageError: The checkpoint's names are none, or not as many as the model has classes.
    """
    names = DATASETS.build({**cfg.test_dataloader.dataset, 'lazy_init': True}).metainfo
    meta = checkpoint.get('meta')
    meta = meta.get('dataset_meta') if isinstance(meta, dict) else None
    classes = meta.get('classes') if isinstance(meta, dict) else None
    if classes is not None:
        if not isinstance(classes, (list, tuple)) or not all(isinstance(name, str) for name in classes):
            raise UsageError(f'{source}: meta.dataset_meta.classes must be a list of names. Save it anew, or without meta')
        names['classes'] = classes
    for sentence in class_faults(cfg, source, names.get('classes') or ()):
        raise UsageError(f'{sentence}.')
    if names.get('classes'):
        names['classes'] = [one_line(name) for name in names['classes']]
    return {'palette': 'random', **names}


def main():
    args = parse_args()
    keep_memory()
    use_reader(args.trust)
    cfg = load_config(args.config, backbone=args.backbone, pretrained=False)
    if not cfg.get('test_dataloader'):
        raise UsageError(f'{args.config} has no test_dataloader, which says how images are prepared')
    images = find_images(args.images)
    classifier = cfg.default_scope == 'mmpretrain'
    if args.out is not None:
        check_out(args.out, images)
    elif not classifier:
        raise UsageError('--out DIR is missing: the folder for the pictures')
    check_device(args.device)
    for option in ('score_thr', 'opacity'):
        if not 0 <= getattr(args, option) <= 1:
            raise UsageError(f'--{option.replace("_", "-")} must lie between 0 and 1, but is {getattr(args, option)}')
    checkpoint = str(locate(args.checkpoint))
    remove_pretrained(cfg.model)
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        model = MODELS.build(deepcopy(cfg.model))  # detectors change what they are built from
    content = read_checkpoint(checkpoint, args.trust)
    check_model(model, content, whole=True, source=checkpoint)
    names = class_names(cfg, content, checkpoint)
    if classifier:
        classify(cfg, checkpoint, names.get('classes'), images, args)
    else:
        draw(cfg, checkpoint, names, images, args)


def classify(cfg, checkpoint, classes, images, args):
    """Prints the best classes of each image, and draws the best one where a folder is given."""
    from mmengine.dataset import Compose, pseudo_collate
    from mmpretrain.apis import get_model
    model = get_model(cfg, False, args.device)
    load_checkpoint(model, checkpoint, map_location='cpu')
    pipeline = Compose(cfg.test_dataloader.dataset.pipeline)
    visualizer = VISUALIZERS.build({**cfg.visualizer, 'name': 'predict', 'vis_backends': None}) if args.out else None
    for path in images:
        with torch.no_grad(), naming(path):
            sample, = model.test_step(pseudo_collate([pipeline(dict(img_path=str(path)))]))
        if 'pred_score' not in sample:
            raise UsageError(f'{cfg.filename}: {type(model).__name__} gives no scores of classes')
        print(path)
        scores, labels = sample.pred_score.topk(min(BEST, len(sample.pred_score)))
        for score, label in zip(scores.tolist(), labels.tolist()):
            print(f'{score:9.4f}  {classes[label] if classes else label}')
        if visualizer:
            image = read(path)
            height, width = image.shape[:2]
            resize = LEAST_SIDE if max(height, width) <= NARROW * min(height, width) else None
            visualizer.visualize_cls(
                image, sample, classes, draw_gt=False, resize=resize, out_file=str(Path(args.out, path.name)))


def draw(cfg, checkpoint, names, images, args):
    """Draws boxes, masks or segments on each image."""
    out = Path(args.out)
    if cfg.default_scope == 'mmseg':
        from mmseg.apis import inference_model, init_model
        drawing = dict()
    else:
        from mmdet.apis import inference_detector as inference_model
        from mmdet.apis import init_detector as init_model
        drawing = dict(pred_score_thr=args.score_thr)
    model = init_model(cfg, None, device=args.device)
    load_checkpoint(model, checkpoint, map_location='cpu')
    model.dataset_meta = names
    visualizer = VISUALIZERS.build({**cfg.visualizer, 'name': 'predict', 'alpha': args.opacity, 'save_dir': str(out)})
    visualizer.dataset_meta = model.dataset_meta
    for path in track_iter_progress(images):
        with naming(path):
            visualizer.add_datasample(
                path.stem, read(path), data_sample=inference_model(model, str(path)), draw_gt=False,
                out_file=str(out / path.name), **drawing)
    print(f'\n{len(images)} pictures in {out}')


if __name__ == '__main__':
    run(main)
