"""The procedural set "shapes": textured shapes on cluttered ground, in the layouts of COCO, ADE20K and ImageNet.

A stand-in for these benchmarks that is drawn in seconds from a seed. Its six classes differ in outline and, as things
do, in the colour that they usually have; sizes, poses and textures are drawn alike for all, and the ground and what
hides the shapes may have any colour. Masks hold the visible pixels of a shape. Scenes have several shapes, which
overlap; the pictures to classify are others and have one each.
"""
import colorsys
import hashlib
import json
import os
import re
import shutil
import sys
import uuid
from pathlib import Path

import cv2
import numpy as np

CLASSES = ('disc', 'ring', 'square', 'triangle', 'star', 'cross')
PALETTE = [(220, 20, 60), (0, 130, 200), (255, 225, 25), (60, 180, 75), (245, 130, 48), (145, 30, 180)]  # RGB

FORMAT_VERSION = 3  # raise it when the drawing or the layout changes
MARKER = 'shapes.json'
SUMS = 'SHA256SUMS'  # of all other files, as the program sha256sum takes it
OWN = 'made_by_make_shapes'  # in the folder of a set that is being drawn: the name of its root
MOST = 999_999  # images of a kind: six digits name them
ADE_FOLDERS = dict(train='training', val='validation')

IN_SCENES, ALONE = (0.14, 0.3), (0.25, 0.45)  # least and largest radius of a shape, as shares of the shorter side
MIN_VISIBLE, MIN_PIXELS = 0.5, 16  # what stays in view of each shape, as a share of its area and in pixels
TRIES = 30

# Contours as complex points of about unit radius, the second one a hole; t in [0, 1) varies the form.
CIRCLE = np.exp(2j * np.pi * np.arange(120) / 120)
OUTLINES = dict(
    disc=lambda t: [CIRCLE],
    ring=lambda t: [CIRCLE, CIRCLE * (0.5 + 0.15 * t)],
    square=lambda t: [CIRCLE[::30]],
    triangle=lambda t: [CIRCLE[::40]],
    star=lambda t: [CIRCLE[::12] * np.tile([1, 0.38 + 0.1 * t], 5)],
    cross=lambda t: [np.outer(CIRCLE[::30], [1, 1, 0] + (0.22 + 0.1 * t) * np.array([-1j, 1j, 1 + 1j])).ravel()],
    bar=lambda t: [np.array([1.6, 1.6, -1.6, -1.6]) + (0.06 + 0.08 * t) * np.array([-1j, 1j, 1j, -1j])])


def _pose(rng, contours, height, width, scale):
    """Contours stretched, turned, scaled and moved into the image: complex points ``x + yj`` in pixels."""
    side = min(height, width)
    radius = np.exp(rng.uniform(np.log(max(5, scale[0] * side)), np.log(scale[1] * side)))
    centre = complex(rng.uniform(0, width), rng.uniform(0, height))
    stretch, (before, after) = np.exp(rng.uniform(-0.15, 0.15)), np.exp(1j * rng.uniform(0, 2 * np.pi, 2))
    turned = [before * points for points in contours]
    return [centre + radius * after * (z.real * stretch + 1j * z.imag / stretch) for z in turned]


def _area(contours):
    """Area in pixels, hole taken off, parts outside of the image included."""
    areas = [abs(np.vdot(z, np.roll(z, -1)).imag) / 2 for z in contours]
    return areas[0] - sum(areas[1:])


def _coverage(contours, height, width, scale=4):
    """Share of each pixel inside the contours: (height, width) float32 in [0, 1]."""
    canvas = np.zeros((height * scale, width * scale), np.uint8)
    points = [np.stack([z.real, z.imag], axis=-1) * scale - 0.5 for z in contours]
    cv2.fillPoly(canvas, [p.round().astype(np.int32) for p in points], 255)
    return cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _blobs(rng, height, width, cells):
    """Smooth noise of ``cells`` random values a side: (height, width, 1) float32 in [0, 1]."""
    return cv2.resize(rng.random((cells, cells), np.float32), (width, height))[..., None]


def _colour(rng, name):
    """A colour, BGR, of the hue that shapes of a class mostly have; of any hue for a bar."""
    hue = rng.normal(CLASSES.index(name) / len(CLASSES), 0.04) if name in CLASSES else rng.random()
    return 255 * np.array(colorsys.hsv_to_rgb(hue % 1, *rng.uniform((0.6, 0.5), 1)))[::-1]


def _texture(rng, height, width, colour, contrast):
    """A random pattern of two tones around ``colour``: (height, width, 3) float32."""
    angle, frequency = rng.uniform(0, 2 * np.pi), 2 * np.pi / rng.uniform(0.05, 0.18) / min(height, width)
    step = np.array([np.cos(angle), np.sin(angle)], np.float32) * np.float32(frequency)
    x, y = np.arange(width, dtype=np.float32)[None, :, None], np.arange(height, dtype=np.float32)[:, None, None]
    u, v = x * step[0] + y * step[1], y * step[0] - x * step[1]
    kind = rng.choice(['plain', 'gradient', 'stripes', 'checks', 'blobs', 'grain'])
    if kind == 'plain':
        pattern = np.zeros_like(u)
    elif kind == 'gradient':
        pattern = (u - u.mean()) / u.std()
    elif kind == 'stripes':
        pattern = np.tanh(3 * np.sin(u))
    elif kind == 'checks':
        pattern = np.tanh(6 * np.sin(u) * np.sin(v))
    elif kind == 'blobs':
        pattern = 4 * _blobs(rng, height, width, rng.integers(6, 16)) - 2
    else:
        pattern = rng.standard_normal(u.shape, np.float32)
    return pattern * rng.uniform(-contrast, contrast, 3).astype(np.float32) + np.float32(colour)


def _background(rng, height, width):
    """Two textures that meet in blobs, and open strokes: (height, width, 3) float32."""
    side = min(height, width)
    one, two = (_texture(rng, height, width, rng.uniform(80, 175, 3), 25) for _ in range(2))
    sharpness = np.float32(rng.uniform(5, 30))
    mix = 1 / (1 + np.exp(sharpness * (0.5 - _blobs(rng, height, width, rng.integers(3, 7)))))
    image = (one + mix * (two - one)).clip(0, 255).astype(np.uint8)
    for _ in range(rng.integers(3, 12)):
        steps = rng.normal(0, 0.08 * side, (rng.integers(2, 8), 2))
        points = rng.uniform(0, (width, height)) + steps.cumsum(axis=0)
        colour, thickness = rng.uniform(0, 255, 3).tolist(), int(np.ceil(rng.uniform(0, 3) * side / 128))
        cv2.polylines(image, [points.astype(np.int32)], False, colour, thickness, cv2.LINE_AA)
    return image.astype(np.float32)


def _photograph(rng, image):
    """Uneven light, slight blur and sensor noise: (H, W, 3) float32 to uint8."""
    image = image * (0.75 + 0.5 * _blobs(rng, *image.shape[:2], 2))
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.9))
    image += np.float32(rng.uniform(2, 6)) * rng.standard_normal(image.shape, np.float32)
    return image.clip(0, 255).round().astype(np.uint8)


def draw_image(seed: int, split: str, index: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Draw one image; the same arguments always give the same pixels.

    Args:
        seed (int): Seed of the set.
        split (str): 'train' or 'val'.
        index (int): Number of the image in its split.
        size (tuple[int]): Height and width in pixels.

    Returns:
        tuple: The image, (H, W, 3) uint8 in BGR; the instance seen at each pixel, (H, W) uint8, 0 for background and
        i for the i-th shape; the index in ``CLASSES`` of each shape, a list of at most 6 int.
    """
    rng = np.random.default_rng([seed, list(ADE_FOLDERS).index(split), index])
    image = _background(rng, *size)
    return _draw(rng, image, rng.choice(CLASSES, rng.integers(2, 7)), IN_SCENES)


def draw_single(seed: int, split: str, index: int, size: tuple[int, int]) -> np.ndarray:
    """Draw one image with one shape, larger than those of scenes, of the class ``index % 6``.

    Args:
        seed, split, index, size: As for `draw_image`; with the same ones, the image is another.

    Returns:
        np.ndarray: (H, W, 3) uint8 in BGR.
    """
    rng = np.random.default_rng([seed, list(ADE_FOLDERS).index(split), index, 1])
    labels = []
    while not labels:  # it may have found no place
        image, _, labels = _draw(rng, _background(rng, *size), [CLASSES[index % len(CLASSES)]], ALONE)
    return image


def _draw(rng, image, names, scale):
    """Shapes of the classes ``names``, and up to two bars, on a background; returns what `draw_image` does."""
    height, width = image.shape[:2]
    top = np.zeros((height, width), np.uint8)  # the layer seen at each pixel
    layers, required = ['background'], [0]
    names = [*names, *['bar'] * rng.integers(0, 3)]  # bars hide and have no label
    for name in rng.permutation(names).tolist():
        for _ in range(TRIES):
            contours = _pose(rng, OUTLINES[name](rng.random()), height, width, scale)
            coverage = _coverage(contours, height, width)
            inside = coverage > 0.5
            covered = np.where(inside, np.uint8(len(layers)), top)
            needs = 0 if name == 'bar' else max(MIN_PIXELS, MIN_VISIBLE * _area(contours))
            if (np.bincount(covered.ravel(), minlength=len(layers) + 1) >= [*required, needs]).all():
                break
        else:
            continue
        beneath = cv2.mean(image, inside.astype(np.uint8))[:3]
        colours = [_colour(rng, name) for _ in range(4)]
        colour = colours[np.linalg.norm(np.subtract(colours, beneath), axis=1).argmax()]  # the most distinct of four
        image += coverage[..., None] * (_texture(rng, height, width, colour, 25) - image)
        top = covered
        layers.append(name)
        required.append(needs)
    shapes = [layer for layer, name in enumerate(layers) if name in CLASSES]
    instance = np.zeros(len(layers), np.uint8)
    instance[shapes] = np.arange(1, len(shapes) + 1)
    return _photograph(rng, image), instance[top], [CLASSES.index(layers[layer]) for layer in shapes]


def make_shapes(root: str | Path,
                num_train: int = 1000,
                num_val: int = 200,
                size: tuple[int, int] = (128, 128),
                seed: int = 0,
                progress: bool = True) -> bool:
    """Write the set below ``root``, laid out as COCO 2017, as ADE20K and as ImageNet.

    ``{train,val}2017/000001.jpg`` and ``annotations/instances_{train,val}2017.json`` are the COCO side, with category
    ids 1 to 6 for ``CLASSES``; ``ADEChallengeData2016/{images,annotations}/{training,validation}`` hold the same
    images and their uint8 label maps, 1 for background and 2 to 7 for ``CLASSES``. ``{train,val}/<class>`` hold as many
    images again, of one shape each.

    The set appears whole or not at all. It takes the place of an older shapes set whose files are as they were drawn,
    never of anything else. One process at a time may write a root. What a killed one has left beside it, in a folder
    ``.<root>.make_shapes-<number>``, goes with the next call.

    Args:
        root (str | Path): Folder of the set.
        num_train (int): Number of training images of each kind, >= 1.
        num_val (int): Number of validation images of each kind, >= 1.
        size (tuple[int]): Height and width of the images in pixels, 32 to 4096.
        seed (int): Seed, 0 to 2**32 - 1. An image depends on seed, split, its number and size, on nothing else.
        progress (bool): Show a bar with the time left on stderr.

    Returns:
        bool: True if the set was written, False if it was there already, complete and with these parameters.

    Raises:
        ValueError: If a parameter is out of range.
        FileExistsError: If ``root`` holds anything that is not part of a shapes set, or if the set in it is to be replaced
            and a file of it has been changed.
    """
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise ValueError(f'size: expected two int (height, width), found {size!r}; pass for example size=(128, 128)')
    parameters = dict(
        set='shapes',
        format_version=FORMAT_VERSION,
        seed=_check_int('seed', seed, 0, 2**32 - 1),
        size=[_check_int('size', length, 32, 4096) for length in size],
        num_train=_check_int('num_train', num_train, 1, MOST),
        num_val=_check_int('num_val', num_val, 1, MOST))
    root = Path(os.path.realpath(root))
    root.parent.mkdir(parents=True, exist_ok=True)
    for work in _leftovers(root):
        _settle(root, work)
    if _read_parameters(root) == parameters:
        return False
    _check_unchanged(root)
    work = root.with_name(f'.{root.name}.make_shapes-{uuid.uuid4().hex}')
    work.mkdir()
    try:
        (work / OWN).write_text(root.name)
        _write_set(work / 'new', parameters, progress)
        if root.exists():
            os.replace(root, work / 'former')
        os.replace(work / 'new', root)
    finally:
        _settle(root, work)
    return True


def _check_int(name, value, low, high):
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        raise ValueError(f'{name}: expected int from {low} to {high}, found {value!r}; pass a value in this range')
    return int(value)


def _leftovers(root):
    """Folders beside ``root`` that a call for it made and did not live to remove."""
    name = re.compile(re.escape(f'.{root.name}.make_shapes-') + '[0-9a-f]{32}')
    for path in root.parent.iterdir():
        own = path / OWN
        if name.fullmatch(path.name) and not path.is_symlink() and own.is_file() and own.read_bytes() == os.fsencode(root.name):
            yield path


def _settle(root, work):
    """Undo a swap that was cut short, or end it; then delete what was to be put at ``root`` or stood there."""
    if (work / 'former').exists() and not root.exists():
        os.replace(work / 'former', root)
    for folder in [path for path in work.iterdir() if path.name != OWN]:
        trash = work / uuid.uuid4().hex
        os.replace(folder, trash)  # should its writer live, it fails rather than installs what is half deleted
        shutil.rmtree(trash)
    (work / OWN).unlink(missing_ok=True)
    work.rmdir()


def _files(parameters):
    """Paths of all files of a set, relative to its root."""
    files = {MARKER, SUMS}
    for split, ade in ADE_FOLDERS.items():
        files.add(f'annotations/instances_{split}2017.json')
        for index in range(1, parameters[f'num_{split}'] + 1):
            files |= {f'{split}2017/{index:06d}.jpg', f'ADEChallengeData2016/images/{ade}/{index:06d}.jpg',
                      f'ADEChallengeData2016/annotations/{ade}/{index:06d}.png', _single(split, index)}
    return files


def _single(split, index):
    """Path of an image of one shape."""
    return f'{split}/{CLASSES[index % len(CLASSES)]}/{index:06d}.jpg'


def _read_parameters(root):
    """Parameters of the set at ``root``, None if there is none or one with gaps; raise before anything else."""
    if not root.exists() or root.is_dir() and not any(root.iterdir()):
        return None
    try:
        parameters = json.loads((root / MARKER).read_text())
        for name in ('num_train', 'num_val'):
            _check_int(name, parameters[name], 1, MOST)
        expected = _files(parameters) if parameters['set'] == 'shapes' else set()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # the last: nested too deep
        expected = set()
    folders = {parent.as_posix() for name in expected for parent in Path(name).parents}
    found = {path.relative_to(root).as_posix(): path.is_dir() and not path.is_symlink() for path in root.rglob('*')}
    foreign = sorted(name for name, is_folder in found.items() if name not in (folders if is_folder else expected))
    if foreign or not expected:
        raise FileExistsError(
            f'{root}: expected nothing, or a shapes set with its {MARKER} and no other files, found '
            f'{foreign[0] if foreign else "something else"}; choose another root or move it away')
    return parameters if expected - {SUMS} <= set(found) else None  # older sets have no sums


def _check_unchanged(root):
    """Raise if a file below ``root``, which a new set is to replace, is not as it was drawn."""
    names = [path.relative_to(root).as_posix() for path in root.rglob('*') if path.is_symlink() or not path.is_dir()]
    lines = (root / SUMS).read_text(errors='replace').splitlines() if (root / SUMS).is_file() else []
    sums = {line[66:]: line[:64] for line in lines}
    for name in sorted(set(names) - {SUMS}):
        path = root / name
        if path.is_symlink() or not path.is_file() or sums.get(name) != hashlib.sha256(path.read_bytes()).hexdigest():
            raise FileExistsError(f'{path} is not known to be as it was drawn, and the set with it was to be replaced; move {root} '
                                  'away or choose another root')


def _write_set(folder, parameters, progress):
    total = parameters['num_train'] + parameters['num_val']
    if progress:
        from mmengine.utils import ProgressBar
        bar = ProgressBar(total, file=sys.stderr)
    (folder / 'annotations').mkdir(parents=True)
    for split, ade in ADE_FOLDERS.items():
        photos = folder / f'{split}2017'
        ade_photos = folder / 'ADEChallengeData2016/images' / ade
        ade_labels = folder / 'ADEChallengeData2016/annotations' / ade
        for path in (photos, ade_photos, ade_labels):
            path.mkdir(parents=True)
        images, annotations = [], []
        for index in range(1, parameters[f'num_{split}'] + 1):
            image, instances, labels = draw_image(parameters['seed'], split, index, parameters['size'])
            name = f'{index:06d}.jpg'
            _write_jpg(photos / name, image)
            try:
                os.link(photos / name, ade_photos / name)
            except OSError:  # a file system without hard links
                shutil.copyfile(photos / name, ade_photos / name)
            label_map = np.array([1, *(label + 2 for label in labels)], np.uint8)[instances]
            (ade_labels / f'{index:06d}.png').write_bytes(cv2.imencode('.png', label_map)[1])
            images.append(dict(id=index, file_name=name, height=image.shape[0], width=image.shape[1]))
            for annotation in _coco_annotations(instances, labels):
                annotations.append(dict(id=len(annotations) + 1, image_id=index, **annotation))
            single = folder / _single(split, index)
            single.parent.mkdir(parents=True, exist_ok=True)
            _write_jpg(single, draw_single(parameters['seed'], split, index, parameters['size']))
            if progress:
                bar.update()
        coco = dict(
            info=dict(description=f'shapes, {split}'),
            licenses=[],
            images=images,
            annotations=annotations,
            categories=[dict(id=i, name=name, supercategory='shape') for i, name in enumerate(CLASSES, 1)])
        (folder / f'annotations/instances_{split}2017.json').write_text(json.dumps(coco))
    if progress:
        bar.file.write('\n')
    (folder / MARKER).write_text(json.dumps(parameters, indent=2) + '\n')
    names = sorted(_files(parameters) - {SUMS})
    (folder / SUMS).write_text(''.join(f'{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n' for name in names))


def _write_jpg(path, image):
    path.write_bytes(cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1])


def _coco_annotations(instances, labels):
    """Annotations of one image, all but their ids; masks as COCO's compressed run lengths."""
    from pycocotools import mask as coco_mask
    masks = instances[..., None] == np.arange(1, len(labels) + 1)  # (H, W, N)
    runs = coco_mask.encode(np.asfortranarray(masks, np.uint8))
    for run, box, area, label in zip(runs, coco_mask.toBbox(runs).tolist(), coco_mask.area(runs).tolist(), labels):
        segmentation = dict(size=run['size'], counts=run['counts'].decode('ascii'))
        yield dict(category_id=label + 1, bbox=box, area=area, iscrowd=0, segmentation=segmentation)
