"""What is wrong with a config's data, said before a run reads it."""
import json
import math
import os
from collections import defaultdict
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS
from PIL import Image

SAMPLES = 16
"""How many pairs of a picture and its label map are opened before a run."""
PICTURES = '.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif'
"""What mmpretrain looks for in the folders of classes."""
IGNORED = 255
"""The label that mmseg's losses and metrics leave out."""
_NUMBER, _ID = (int, float), (int, float, str)
_KINDS = {str: 'a text', list: 'four numbers', _NUMBER: 'a number', _ID: 'a number or a text'}
COCO = dict(
    images=dict(id=_ID, file_name=str, height=_NUMBER, width=_NUMBER), categories=dict(id=_ID, name=str),
    annotations=dict(id=_ID, image_id=_ID, category_id=_ID, bbox=list, area=_NUMBER))
"""{list in an annotation file: {key of its items: kind}}"""


def nodes(tree, names=None, path: str = '') -> Iterator[Tuple[str, dict]]:
    """Every dict below the named parts of a config, with its path."""
    if isinstance(tree, (dict, Config)):
        if path:
            yield path, tree
        for key in list(tree.keys()) if names is None else [name for name in names if tree.get(name) is not None]:
            yield from nodes(tree[key], None, f'{path}.{key}' if path else key)
    elif isinstance(tree, (list, tuple)):
        for i, item in enumerate(tree):
            yield from nodes(item, None, f'{path}.{i}')


def join(root: str, path: str) -> str:
    """A path of a config, which may lie below the data root."""
    return path if os.path.isabs(path) or '://' in path or path.startswith(root) else os.path.join(root, path)


def prefixes(node: dict) -> List[str]:
    """The folders of a data set, as its settings name them."""
    prefix = node.get('data_prefix') or {}
    if not prefix and str(node.get('type')).rsplit('.')[-1] == 'ImageNet':
        prefix = node.get('split') or {}
    return [part for part in (prefix.values() if isinstance(prefix, dict) else [prefix]) if part]


def data_faults(cfg: Config, *names: str) -> Iterator[str]:
    """A sentence for each fault of the annotations, pictures and label maps that a run will read.

    COCO's annotation files are read whole; of pictures only the names are looked up, and of folders of classes whether
    they have some. The files that are named by the config must exist.

    Args:
        cfg: The config.
        names: Its parts that the run uses, such as 'train_dataloader' and 'val_evaluator'.
    """
    images: Dict[str, dict] = {}
    folders: Dict[str, List[str]] = {}
    for name, node in nodes(cfg, names):
        if not isinstance(node.get('type'), str):
            continue
        if node['type'].rsplit('.')[-1] == 'CocoMetric' and node.get('ann_file'):
            yield from _coco_metric_faults(name, node['ann_file'], images)
            continue
        if not name.split('.')[0].endswith('dataloader'):
            continue
        with DATASETS.switch_scope_and_registry(cfg.get('default_scope')) as registry:
            kind = registry.get(node['type'])
        bases = {base.__name__ for base in getattr(kind, '__mro__', ())}
        if 'CustomDataset' in bases:
            yield from _folder_faults(cfg, name, node, kind, folders)
            continue
        if not bases & {'CocoDataset', 'BaseSegDataset'} or 'LVISV1Dataset' in bases:
            continue
        classes = (node.get('metainfo') or {}).get('classes') or kind.METAINFO.get('classes')
        if isinstance(classes, (list, tuple)):
            yield from class_faults(cfg, name, classes)
        if 'CocoDataset' in bases and node.get('ann_file'):
            yield from _coco_faults(name, node, classes, images)
        elif 'BaseSegDataset' in bases:
            if node.get('ann_file') and not node.get('backend_args'):
                fault = next(_list_faults(name, join(node.get('data_root') or '', node['ann_file'])), None)
                if fault:
                    yield fault
                    continue
            dataset = DATASETS.build({**node, 'pipeline': [], 'serialize_data': False, '_scope_': cfg.get('default_scope')})
            yield from _segmentation_faults(name, dataset)


def class_faults(cfg: Config, name: str, classes: List[str]) -> Iterator[str]:
    """A sentence for each head, or mixing of classes, of a config that has not as many classes as ``name`` has."""
    for path, part in nodes(cfg, ['model', 'data_preprocessor']):
        number = part.get('num_classes')
        if path.rstrip('.0123456789').endswith(('_head', '.head', 'data_preprocessor')) and number not in (None, len(classes)):
            yield (f'{path}.num_classes is {number}, but {name} has {len(classes)} classes ({_some(classes)}). '
                   'Set the one or the other')


def picture_fault(path: str) -> Optional[str]:
    """What keeps a local picture from being read whole, or None."""
    if '://' in path:
        return None
    if not os.path.isfile(path):
        return 'does not exist'
    if not os.path.getsize(path):
        return 'is empty'
    try:
        with Image.open(path) as image:
            image.load()
    except (Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:  # PIL's
        reason = str(error).replace(repr(path), 'it')
        return f'is no picture or a damaged one ({reason})'
    return None


def _read_coco(name: str, path: str) -> Tuple[Optional[str], dict]:
    """A fault of an annotation file, or None; and its content."""
    form = f'{name} reads {path}, which is no COCO annotation file'
    try:
        with open(path, encoding='utf-8') as file:
            content = json.load(file)
    except (ValueError, RecursionError) as error:
        size = os.path.getsize(path)
        return f'{form}: it is {f"damaged JSON or none ({error})" if size else "empty"}. Get or write it again', {}
    for part, kinds in COCO.items():
        rows = content.get(part) if isinstance(content, dict) else None
        if not isinstance(rows, list):
            found = f'a dict with {_some(content)}' if isinstance(content, dict) else f'a {type(content).__name__}'
            return f'{form}: expected a dict with lists of {", ".join(COCO)}, but it holds {found}', {}
        for i, row in enumerate(rows):
            missing = [key for key in kinds if not isinstance(row, dict) or key not in row]
            if missing:
                return f'{form}: {part}[{i}] has no {" and no ".join(missing)}', {}
            for key, kind in kinds.items():
                if not isinstance(row[key], kind):
                    return f'{form}: {part}[{i}].{key} is {row[key]!r:.80}, but must be {_KINDS[kind]}', {}
            if part == 'images' and not (row['height'] > 0 and row['width'] > 0):
                return f'{form}: images[{i}] is {row["height"]} high and {row["width"]} wide', {}
            if part == 'annotations' and not (len(row['bbox']) == 4 and all(
                    isinstance(value, _NUMBER) and math.isfinite(value) for value in row['bbox'])):
                return f'{form}: annotations[{i}].bbox is {row["bbox"]!r:.80}, but must be four numbers', {}
            mask = row.get('segmentation') if part == 'annotations' else None
            if mask and not _is_mask(mask):
                return (f'{form}: annotations[{i}].segmentation is {mask!r:.80}, but must be a list of polygons, or '
                        'a dict with counts and size'), {}
    return None, content


def _is_mask(found) -> bool:
    """Whether it is polygons, or run lengths of COCO, whose letters are not looked at."""
    if isinstance(found, dict):
        counts, size = found.get('counts'), found.get('size')
        return (isinstance(counts, str) or _whole(counts)) and _whole(size) and len(size) == 2
    return isinstance(found, list) and all(isinstance(polygon, list) for polygon in found)


def _whole(found) -> bool:
    """Whether it is a list of whole numbers that 32 bits hold."""
    return isinstance(found, list) and all(isinstance(value, int) and 0 <= value < 1 << 32 for value in found)


def _coco_faults(name: str, node: dict, classes, images: Dict[str, dict]) -> Iterator[str]:
    root = node.get('data_root') or ''
    path = join(root, node['ann_file'])
    if '://' in path:
        return
    fault, content = _read_coco(name, path)
    if fault:
        yield fault
        return
    images[name.split('_')[0]] = {**images.get(name.split('_')[0], {}), **{row['id']: path for row in content['images']}}
    names = [row['name'] for row in content['categories']]
    absent = [name for name in classes or () if name not in names]
    if absent:
        yield (f'{name} has the classes {_some(classes)}, but {path} has {_some(names)}, without {_some(absent)}. Set '
               'metainfo.classes of the data sets and num_classes of the heads to what the file has')
        return
    known = {row['id'] for row in content['categories'] if row['name'] in (classes or names)}
    used = {row['id'] for row in content['images']}
    if (node.get('filter_cfg') or {}).get('filter_empty_gt') and not node.get('test_mode'):
        used &= {row['image_id'] for row in content['annotations'] if row['category_id'] in known}
    if not used:
        yield (f'{name} reads {path}, where none of {len(content["images"])} images has an annotation of its classes'
               if content['images'] else f'{name} reads {path}, which names no images')
        return
    if any(step.get('with_mask') for _, step in nodes(node.get('pipeline'), None, 'pipeline')):
        rows = content['annotations']
        bare = [i for i, row in enumerate(rows) if row['category_id'] in known and not row.get('segmentation')
                and row['area'] > 0 and min(row['bbox'][2:]) >= 1]  # mmdet leaves out the others
        if bare:
            yield (f'{name} loads masks (with_mask=True), but in {path} {len(bare):,} of {len(rows):,} annotations '
                   f'have none, such as annotations[{bare[0]}]. Choose a detector of boxes alone, or add segmentation')
            return
    folder = join(root, (node.get('data_prefix') or {}).get('img') or '')
    if not node.get('backend_args'):
        yield from _absent(f'{name}: {path} names images', [
            os.path.join(folder, row['file_name']) for row in content['images'] if row['id'] in used])


def _coco_metric_faults(name: str, path: str, images: Dict[str, dict]) -> Iterator[str]:
    read = images.get(name.split('_')[0])
    if read is None or '://' in path or path in read.values():
        return
    fault, content = _read_coco(name, path)
    absent = set(read) - {row['id'] for row in content.get('images', ())}
    if fault:
        yield fault
    elif absent:
        other = read[min(absent, key=str)]
        yield (f'{name} reads {path}, which lacks {len(absent)} of the {len(read)} images that {other} has. Evaluate with '
               'the annotations of the data set: set ann_file of both to the same file')


def _folder_faults(cfg: Config, name: str, node: dict, kind: type, folders: Dict[str, List[str]]) -> Iterator[str]:
    """Of folders of classes, which number the classes by the order of their names."""
    root, split = node.get('data_root') or '', node.get('split') or ''
    path = join(root, *prefixes(node) or [''])
    expected = (node.get('metainfo') or {}).get('classes') or kind.METAINFO.get('classes')
    listed = node.get('ann_file') or split and os.path.exists(os.path.join(root, 'meta', f'{split}.txt'))
    labelled = node.get('with_label', split != 'test')
    if listed or not labelled or node.get('backend_args') or '://' in path:
        if isinstance(expected, (list, tuple)):
            yield from class_faults(cfg, name, expected)
        if listed and not node.get('backend_args'):
            numbers = [part['num_classes'] for place, part in nodes(cfg, ['model'])
                       if labelled and place.endswith('head') and 'num_classes' in part]
            file = join(root, node.get('ann_file') or f'meta/{split}.txt')
            yield from _list_faults(name, file, min(numbers, default=None))
        return
    found = sorted(entry.name for entry in os.scandir(path) if entry.is_dir())
    if not found:
        yield f'{name} reads {path}, which has no folders: expected one for each class, with its pictures'
        return
    if isinstance(expected, (list, tuple)) and len(expected) != len(found):
        yield (f'{name} reads {path}, which has {len(found)} folders of classes ({_some(found)}), but the '
               f'{kind.__name__} of the config has {len(expected)} classes ({_some(expected, 3)}). Complete the folders, '
               'or for a data set of your own set metainfo.classes of the data sets, and num_classes of model.head and '
               'data_preprocessor')
        return
    yield from class_faults(cfg, name, expected if isinstance(expected, (list, tuple)) else found)
    endings = tuple(node.get('extensions') or PICTURES)
    empty = [folder for folder in found if not any(
        file.lower().endswith(endings) for _, _, files in os.walk(os.path.join(path, folder)) for file in files)]
    if empty:
        have = 'has' if len(empty) == 1 else 'have'
        yield f'{name} reads {path}, where {_some(empty)} {have} no pictures ({" ".join(endings)})'
        return
    for other, names in folders.items():
        if names != found:
            apart = sorted({*names} ^ {*found})
            yield (f'{name} reads {path} and {other}, whose folders of classes differ ({_some(apart)}), so that their '
                   'numbers are not those of the same classes')
            return
    folders[path] = found


def _list_faults(name: str, path: str, number: Optional[int] = None) -> Iterator[str]:
    """Of a file with the name of a picture in each line and, where there is a number of classes, that of its class."""
    if '://' in path:
        return
    try:
        with open(path, encoding='utf-8') as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        yield f'{name} reads {path}, which is no list of pictures ({getattr(error, "strerror", None) or error})'
        return
    if not lines:
        yield f'{name} reads {path}, which names no pictures'
    for i, line in enumerate(lines if number is not None else (), 1):
        words = line.strip().rsplit(' ', 1)
        if len(words) < 2 or not words[1].isdecimal() or int(words[1]) >= number:
            yield (f'{name} reads {path}, where line {i} is {line!r:.80}, but must be the name of a picture, a space '
                   f'and the number of its class, 0 to {number - 1}')
            return


def _segmentation_faults(name: str, dataset) -> Iterator[str]:
    rows = [dataset.get_data_info(i) for i in range(len(dataset))]
    if not rows:
        where = dataset.ann_file or f'{dataset.data_prefix["img_path"]}, for names that end in {dataset.img_suffix}'
        yield f'{name} found no images (looked in {where})'
        return
    if dataset.backend_args:
        return
    for key, kind in (('img_path', 'images'), ('seg_map_path', 'label maps')):
        fault = next(_absent(f'{name} needs {kind}', [row[key] for row in rows if row.get(key)]), None)
        if fault:
            yield fault
            return
    number = len(dataset.metainfo.get('classes') or ()) or IGNORED
    pairs = [row for row in rows[::max(1, len(rows) // SAMPLES)][:SAMPLES] if row.get('seg_map_path')]
    for row in pairs:
        yield from _pair_faults(name, row, number)


def _pair_faults(name: str, row: dict, number: int) -> Iterator[str]:
    """Of a picture and its label map, which exist."""
    for path in (row['img_path'], row['seg_map_path']):
        fault = picture_fault(path)
        if fault:
            yield f'{name} reads {path}, which {fault}. Get or write it again'
            return
    with Image.open(row['img_path']) as image, Image.open(row['seg_map_path']) as labels:
        if image.size != labels.size:
            yield (f'{name} reads {row["seg_map_path"]} of {labels.size[0]} x {labels.size[1]} pixels, but its picture '
                   f'{row["img_path"]} has {image.size[0]} x {image.size[1]}. A label map has a value for each pixel')
            return
        values = np.asarray(labels)
    if values.ndim != 2:
        yield (f'{name} reads {row["seg_map_path"]}, which has {values.shape[-1]} channels. A label map has one, with '
               'the number of a class in each pixel')
        return
    if row.get('label_map'):
        return
    values = np.unique(values).astype(int)
    # with reduce_zero_label, 0 is ignored and the classes count from 1
    first = 1 if row.get('reduce_zero_label') else 0
    wrong = [value for value in values if value != IGNORED and value >= number + first]
    if wrong:
        yield (f'{name} reads {row["seg_map_path"]} with the labels {_some(wrong)}, but its {number} classes are '
               f'{first} to {number + first - 1}, and {IGNORED} is ignored. Is reduce_zero_label ({bool(first)}) right?')


def _absent(subject: str, paths: List[str]) -> Iterator[str]:
    """A sentence if some of the files aren't there; folders are listed once, which is fast on network disks too."""
    folders = defaultdict(list)
    for path in paths:
        if '://' not in path:
            folders[os.path.dirname(path)].append(path)
    absent = []
    for folder, inside in folders.items():
        found = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        absent += [path for path in inside if os.path.basename(path) not in found]
    if absent:
        yield f'{subject}, but {len(absent):,} of {len(paths):,} are not there, such as {Path(absent[0])}'


def _some(names, most: int = 8) -> str:
    names = [str(name) for name in names]
    return ', '.join(names[:most]) + (f' and {len(names) - most} more' if len(names) > most else '')
