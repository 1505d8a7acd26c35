"""The procedural set: what is drawn, how it is laid out, and that no folder is ever lost for it."""
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('pycocotools')
from pycocotools.coco import COCO  # noqa: E402

from mmvit_backbones.datasets import make_shapes, shapes  # noqa: E402

ROOT = Path(__file__).parents[1]
PARAMETERS = dict(num_train=12, num_val=6, size=(64, 96), seed=3, progress=False)
SPLITS = [('train', 'training'), ('val', 'validation')]


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.fixture(scope='module')
def shared_set(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'shapes'
    assert make_shapes(root, **PARAMETERS)
    return root


@pytest.fixture
def small_set(tmp_path):
    root = tmp_path / 'shapes'
    make_shapes(root, 2, 1, (32, 32), progress=False)
    return root


def test_same_arguments_give_same_bytes(shared_set, tmp_path):
    make_shapes(tmp_path / 'again', **PARAMETERS)
    assert content(tmp_path / 'again') == content(shared_set)


def test_an_image_does_not_depend_on_how_many_there_are(shared_set, tmp_path):
    make_shapes(tmp_path / 'fewer', **{**PARAMETERS, 'num_train': 5, 'num_val': 2})
    whole, part = content(shared_set), content(tmp_path / 'fewer')
    drawn = {name for name in part if not name.endswith('.json') and name != shapes.SUMS}
    assert len(drawn) == 4 * 7
    assert all(part[name] == whole[name] for name in drawn)


def test_seed_split_and_index_change_the_image():
    arguments = [(0, 'train', 1), (1, 'train', 1), (0, 'val', 1), (0, 'train', 2)]
    images = {shapes.draw_image(*argument, (32, 48))[0].tobytes() for argument in arguments}
    assert len(images) == 4


def test_every_class_is_drawn_about_as_often():
    labels = [label for index in range(150) for label in shapes.draw_image(0, 'train', index, (64, 64))[2]]
    counts = np.bincount(labels, minlength=len(shapes.CLASSES))
    assert counts.min() > 0.75 * counts.mean() and counts.max() < 1.25 * counts.mean()


@pytest.mark.parametrize('split, ade', SPLITS)
def test_coco_and_ade20k_sides_agree_to_the_pixel(shared_set, split, ade):
    coco = COCO(shared_set / f'annotations/instances_{split}2017.json')
    assert len(coco.imgs) == PARAMETERS[f'num_{split}']
    assert [category['name'] for category in coco.loadCats(coco.getCatIds())] == list(shapes.CLASSES)
    for image_id, entry in coco.imgs.items():
        photo = shared_set / f'{split}2017' / entry['file_name']
        ade_photo = shared_set / 'ADEChallengeData2016/images' / ade / entry['file_name']
        ade_labels = shared_set / 'ADEChallengeData2016/annotations' / ade / f'{image_id:06d}.png'
        assert photo.read_bytes() == ade_photo.read_bytes()
        assert cv2.imread(str(photo)).shape == (entry['height'], entry['width'], 3) == (64, 96, 3)
        labels = cv2.imread(str(ade_labels), cv2.IMREAD_UNCHANGED)
        painted, times = np.ones((64, 96), np.uint8), np.zeros((64, 96), int)
        annotations = coco.imgToAnns[image_id]
        assert 2 <= len(annotations) <= 6
        for annotation in annotations:
            mask = coco.annToMask(annotation)
            y, x = mask.nonzero()
            assert annotation['bbox'] == [x.min(), y.min(), x.max() - x.min() + 1, y.max() - y.min() + 1]
            assert annotation['area'] == mask.sum() >= shapes.MIN_PIXELS
            assert annotation['iscrowd'] == 0
            painted[mask > 0] = annotation['category_id'] + 1
            times += mask
        assert times.max() == 1
        assert labels.dtype == np.uint8
        np.testing.assert_array_equal(labels, painted)


def test_masks_lie_on_their_shapes(monkeypatch):
    monkeypatch.setattr(shapes, '_photograph', lambda rng, image: image)
    monkeypatch.setattr(shapes, '_background', lambda rng, height, width: np.zeros((height, width, 3), np.float32))
    monkeypatch.setattr(shapes, '_texture', lambda rng, height, width, colour, contrast: np.float32(colour))
    for index in range(20):
        image, instances, labels = shapes.draw_image(0, 'train', index, (64, 96))
        for i in range(1, len(labels) + 1):
            inner = cv2.erode((instances == i).astype(np.uint8), np.ones((3, 3))) > 0
            paint = np.median(image[inner], axis=0) if inner.any() else 0
            assert np.all(np.abs(image[inner] - paint) < 100)  # one paint, but for tips of others
def test_no_shape_is_left_nearly_hidden(monkeypatch):
    monkeypatch.setattr(shapes, 'MIN_PIXELS', 300)
    for index in range(30):
        _, instances, labels = shapes.draw_image(0, 'train', index, (64, 64))
        assert np.all(np.bincount(instances.ravel(), minlength=len(labels) + 1)[1:] >= 300)
    monkeypatch.setattr(shapes, 'MIN_VISIBLE', 1.5)
    _, instances, labels = shapes.draw_image(0, 'train', 1, (64, 64))
    assert labels == [] and not instances.any()


@pytest.mark.parametrize('name, area', [('disc', np.pi), ('ring', 0.75 * np.pi), ('square', 2), ('triangle', 1.299)])
def test_coverage_has_the_area_of_the_outline(name, area):
    contours = [20 * points + (32 + 24j) for points in shapes.OUTLINES[name](0)]
    assert shapes._area(contours) == pytest.approx(400 * area, rel=0.01)
    assert shapes._coverage(contours, 48, 64).sum() == pytest.approx(400 * area, rel=0.04)


def test_mmdet_reads_the_set(shared_set):
    datasets = pytest.importorskip('mmdet.datasets')
    coco = COCO(shared_set / 'annotations/instances_train2017.json')
    dataset = datasets.CocoDataset(
        data_root=str(shared_set),
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017/'),
        metainfo=dict(classes=shapes.CLASSES, palette=shapes.PALETTE),
        pipeline=[dict(type='LoadImageFromFile'),  # of mmcv: mmdet's own scope has none of that name
                  dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=True)])
    assert len(dataset) == 12
    for sample in dataset:
        annotations = coco.imgToAnns[sample['img_id']]
        np.testing.assert_array_equal(sample['gt_masks'].masks, [coco.annToMask(a) for a in annotations])
        assert sample['gt_bboxes_labels'].tolist() == [a['category_id'] - 1 for a in annotations]
        assert not sample['gt_ignore_flags'].any()


def test_mmseg_reads_the_set(shared_set):
    datasets = pytest.importorskip('mmseg.datasets')
    dataset = datasets.BaseSegDataset(
        data_root=str(shared_set / 'ADEChallengeData2016'),
        data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'),
        metainfo=dict(classes=('background', *shapes.CLASSES), palette=[(0, 0, 0), *shapes.PALETTE]),
        reduce_zero_label=True,
        pipeline=[dict(type='LoadImageFromFile'), dict(type='mmseg.LoadAnnotations')])
    assert len(dataset) == 6
    for sample in dataset:
        _, instances, labels = shapes.draw_image(3, 'val', int(Path(sample['img_path']).stem), (64, 96))
        np.testing.assert_array_equal(sample['gt_seg_map'], np.array([0, *(label + 1 for label in labels)])[instances])


def test_same_set_is_left_alone_and_gaps_are_filled(small_set):
    before = content(small_set)
    stamp = small_set.stat().st_ino
    assert make_shapes(small_set, 2, 1, (32, 32), progress=False) is False
    assert small_set.stat().st_ino == stamp
    (small_set / 'train2017/000002.jpg').unlink()
    assert make_shapes(small_set, 2, 1, (32, 32), progress=False) is True
    assert content(small_set) == before


def test_other_parameters_replace_the_set_whole(small_set):
    make_shapes(small_set, 1, 1, (48, 32), seed=7, progress=False)
    assert set(content(small_set)) == shapes._files(dict(num_train=1, num_val=1))
    assert json.loads((small_set / shapes.MARKER).read_text())['seed'] == 7
    assert os.listdir(small_set.parent) == ['shapes']


@pytest.mark.parametrize('error', [OSError('disk full'), KeyboardInterrupt()])
def test_former_set_survives_an_error_while_drawing(small_set, monkeypatch, error):
    before, draw_image = content(small_set), shapes.draw_image

    def draw_three(seed, split, index, size):
        if index > 3:
            raise error
        return draw_image(seed, split, index, size)

    monkeypatch.setattr(shapes, 'draw_image', draw_three)
    with pytest.raises(type(error)):
        make_shapes(small_set, 5, 1, (32, 32), progress=False)
    assert content(small_set) == before
    assert os.listdir(small_set.parent) == ['shapes']


def test_former_set_survives_an_error_while_swapping(small_set, monkeypatch):
    before, replace = content(small_set), os.replace

    def replace_all_but_the_new_set(source, target):
        if target == small_set and not source.name.endswith('former'):
            raise OSError('no')
        replace(source, target)

    monkeypatch.setattr(os, 'replace', replace_all_but_the_new_set)
    with pytest.raises(OSError, match='no'):
        make_shapes(small_set, 3, 1, (32, 32), progress=False)
    assert content(small_set) == before
    assert os.listdir(small_set.parent) == ['shapes']


def test_former_set_returns_after_a_kill_between_the_two_renames(small_set):
    before = content(small_set)
    work = small_set.with_name(f'.shapes.make_shapes-{"0" * 32}')
    work.mkdir()
    (work / shapes.OWN).write_text('shapes')
    small_set.rename(work / 'former')
    assert make_shapes(small_set, 2, 1, (32, 32), progress=False) is False
    assert content(small_set) == before
    assert os.listdir(small_set.parent) == ['shapes']


def test_former_set_survives_a_kill_while_drawing(small_set):
    before = content(small_set)
    code = f'from mmvit_backbones.datasets import make_shapes; make_shapes({str(small_set)!r}, 9999, progress=False)'
    process = subprocess.Popen([sys.executable, '-c', code], cwd=ROOT)
    try:
        until = time.monotonic() + 60
        while not list(small_set.parent.glob('.shapes.*/new/train2017/*.jpg')):
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.05)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    assert content(small_set) == before
    assert len(os.listdir(small_set.parent)) == 2
    assert make_shapes(small_set, 2, 1, (32, 32), progress=False) is False
    assert os.listdir(small_set.parent) == ['shapes']


def test_folders_of_others_beside_the_root_are_left_alone(small_set):
    for name in ('backup', 'former', 'a' * 32, 'b' * 31, 'c' * 33):
        folder = small_set.with_name(f'.shapes.make_shapes-{name}')
        folder.mkdir()
        (folder / 'mine').write_text('mine')
    other = small_set.with_name(f'.shapes.make_shapes-{"d" * 32}')
    other.mkdir()
    (other / shapes.OWN).write_text('others')
    before = {name: text for name, text in content(small_set.parent).items() if name.startswith('.')}
    make_shapes(small_set, 1, 1, (32, 32), progress=False)
    assert {name: text for name, text in content(small_set.parent).items() if name.startswith('.')} == before


@pytest.mark.parametrize('name', ['train2017/000001.jpg', 'annotations/instances_val2017.json', 'SHA256SUMS'])
def test_a_changed_file_is_not_replaced(small_set, name):
    (small_set / name).unlink()
    (small_set / name).write_text('mine' if name != 'SHA256SUMS' else '')
    before = content(small_set)
    for parameters in ((1, 1, (32, 32)), (2, 1, (32, 48))):
        with pytest.raises(FileExistsError, match='is not known to be as it was drawn'):
            make_shapes(small_set, *parameters, progress=False)
    assert content(small_set) == before and os.listdir(small_set.parent) == ['shapes']
    assert make_shapes(small_set, 2, 1, (32, 32), progress=False) is False


def test_an_empty_folder_in_a_set_is_left_alone(small_set):
    (small_set / 'train2017' / 'mine').mkdir()
    with pytest.raises(FileExistsError, match='train2017/mine'):
        make_shapes(small_set, 1, 1, (32, 32), progress=False)


def test_a_set_of_an_earlier_version_is_up_to_date(small_set):
    (small_set / shapes.SUMS).unlink()
    assert make_shapes(small_set, 2, 1, (32, 32), progress=False) is False


@pytest.mark.parametrize('name, text', [
    ('notes.txt', 'mine'),
    ('shapes.json', '[1, 2]'),
    ('shapes.json', '{"set": "others"}'),
    ('shapes.json', '{"set": "shapes"}'),
    ('shapes.json', '{"set": "shapes", "num_train": 1000000000000, "num_val": 1}'),
    ('shapes.json', '[' * 100_000),
    ('shapes.json', 'not json'),
])
def test_a_foreign_folder_is_refused(tmp_path, name, text):
    root = tmp_path / 'shapes'
    root.mkdir()
    (root / name).write_text(text)
    with pytest.raises(FileExistsError, match='choose another root'):
        make_shapes(root, 1, 1, (32, 32), progress=False)
    assert content(tmp_path) == {f'shapes/{name}': text.encode()}


def test_sums_that_are_no_text_are_not_those_of_the_files(small_set):
    (small_set / shapes.SUMS).write_bytes(b'\xff\xfe')
    before = content(small_set)
    with pytest.raises(FileExistsError, match='not known to be as it was drawn'):
        make_shapes(small_set, 3, 1, (32, 32), progress=False)
    assert content(small_set) == before


def test_a_set_with_a_foreign_file_is_refused(small_set):
    (small_set / 'train2017/mine.jpg').write_bytes(b'mine')
    before = content(small_set)
    with pytest.raises(FileExistsError, match='train2017/mine.jpg'):
        make_shapes(small_set, 3, 1, (32, 32), progress=False)
    assert content(small_set) == before


def test_a_file_at_root_is_refused_and_an_empty_folder_is_used(tmp_path):
    (tmp_path / 'file').write_text('mine')
    with pytest.raises(FileExistsError, match='choose another root'):
        make_shapes(tmp_path / 'file', 1, 1, (32, 32), progress=False)
    assert (tmp_path / 'file').read_text() == 'mine'
    (tmp_path / 'empty').mkdir()
    assert make_shapes(tmp_path / 'empty', 1, 1, (32, 32), progress=False)


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / 'disk').mkdir()
    (tmp_path / 'shapes').symlink_to(tmp_path / 'disk/set')
    assert make_shapes(tmp_path / 'shapes', 1, 1, (32, 32), progress=False)
    assert (tmp_path / 'shapes').is_symlink() and (tmp_path / 'disk/set/shapes.json').exists()


@pytest.mark.parametrize('bad', [
    dict(num_train=0), dict(num_val=0), dict(num_train=1.5), dict(num_val=True), dict(size=(31, 64)), dict(size=128),
    dict(size=(64, )), dict(size=(64, 64, 3)), dict(size=(64., 64)), dict(size='64'), dict(seed=-1), dict(seed=None)
])
def test_bad_arguments_are_named(tmp_path, bad):
    (name, value), = bad.items()
    with pytest.raises(ValueError, match=rf'{name}: expected .*, found .*; pass'):
        make_shapes(tmp_path / 'shapes', **{**dict(progress=False), **bad})
    assert not list(tmp_path.iterdir())


def run_tool(monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['make_shapes.py', *map(str, arguments)])
    runpy.run_path(str(ROOT / 'tools/make_shapes.py'), run_name='__main__')


def test_tool_says_where_the_set_lies(tmp_path, monkeypatch, capsys):
    arguments = [tmp_path / 'shapes', '--num-train', 2, '--num-val', 1, '--size', 32, 40, '--seed', 5]
    run_tool(monkeypatch, *arguments)
    out, err = capsys.readouterr()
    assert out == f'{tmp_path / "shapes"}: written\n' and '3/3' in err and 'ETA' in err
    run_tool(monkeypatch, *arguments)
    assert capsys.readouterr() == (f'{tmp_path / "shapes"}: up to date\n', '')
    parameters = json.loads((tmp_path / 'shapes/shapes.json').read_text())
    assert [parameters[name] for name in ('num_train', 'num_val', 'size', 'seed')] == [2, 1, [32, 40], 5]


@pytest.mark.parametrize('arguments', [['--num-train', 0], ['--size', 16, 16], ['--seed', -1]])
def test_tool_reports_bad_input_in_one_line(tmp_path, monkeypatch, capsys, arguments):
    with pytest.raises(SystemExit) as exit_info:
        run_tool(monkeypatch, tmp_path / 'shapes', *arguments)
    assert exit_info.value.code == 2
    assert capsys.readouterr().err.count('\n') == 1


def test_tool_reports_a_foreign_folder_in_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / 'notes.txt').write_text('mine')
    with pytest.raises(SystemExit) as exit_info:
        run_tool(monkeypatch, tmp_path)
    assert exit_info.value.code == 2
    assert 'notes.txt' in capsys.readouterr().err
