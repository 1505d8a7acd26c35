"""Published results, counted cost, own runs, and the tables of them."""
import csv
import dataclasses
import html
import io
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import yaml
from conftest import DATA, ROOT, authors_state, backbone_class, build, call, read_record
from mmengine.config import Config
from mmengine.registry import MODELS
from rich.console import Console
from torch import nn

from mmvit_backbones import list_backbones
from mmvit_backbones.datasets import make_shapes
from mmvit_backbones.engine import count_config, count_macs, set_backbone
from mmvit_backbones.engine.config import load_config, run
from mmvit_backbones.files import replacing
from mmvit_backbones.results import (FAMILIES, METHODS, ResultsError, Speed, compare, compare_under, find_runs, load_results, own_rows,
                                     page, published, read_run, read_speed, resolve, to_csv, to_markdown, to_rich)
from mmvit_backbones.results import plot as plots
from mmvit_backbones.results.documents import documents
from mmvit_backbones.results.dumped import read_dumped
from mmvit_backbones.results.page import to_html
from mmvit_backbones.results.plot import plot
from mmvit_backbones.results.published import FOLDER
from mmvit_backbones.results.speed_tables import speed_document
from mmvit_backbones.results.table import difference

CONFIGS = ROOT / 'configs'
RESULTS = load_results()
WITH_CONFIG = [row for row in RESULTS if row.config]


@pytest.fixture(scope='module')
def entries():
    """All rows of detection and segmentation, counted."""
    return compare([row for row in RESULTS if row.task != 'imagenet'], CONFIGS)


@pytest.fixture(scope='module')
def classifiers():
    """All rows of ImageNet, counted."""
    return compare([row for row in RESULTS if row.task == 'imagenet'], CONFIGS)


# The data.


def test_every_config_knows_its_rows():
    benchmarks = {path.stem for path in CONFIGS.glob('*.py') if 'No published figures' not in path.read_text()}
    benchmarks -= {path.stem for path in CONFIGS.glob('*_shapes.py')}
    assert {row.config for row in WITH_CONFIG} == benchmarks


def test_every_row_of_a_method_with_configs_has_one():
    """Unless it is of a model that this package does not have, or of a recipe that its source does not tell."""
    rows = [row for row in RESULTS if row.method in METHODS and row.variant and row.schedule != 'unknown']
    assert [row.name for row in rows if not row.config] == []
    assert {row.family for row in RESULTS} == set(FAMILIES) == {name.split('/')[0] for name in list_backbones()}


def test_papers_wait_for_their_backbones(monkeypatch):
    """The rows of every file are sound, those of families without a backbone too, and have a place in all tables."""
    names = {path.stem: json.loads(path.read_text())['name'] for path in FOLDER.glob('*.json')}
    assert set(FAMILIES) <= set(names)
    for module in (published, plots, page):
        monkeypatch.setattr(module, 'FAMILIES', names)
    rows = load_results()
    assert {row.family for row in rows} == set(names)
    assert all(row.variant and row.source for row in rows if row.family not in FAMILIES)
    entries = compare(rows, None)
    text = to_markdown(entries)
    assert sum(line.startswith('| ') for line in text.splitlines()) == len(rows) + 2 * len({row.method for row in rows})
    assert len(json.loads(re.search(r'^const data = (.*);$', to_html(entries), re.M)[1])['records']) == len(rows)
    assert all(f'{row.top1}?' in text for row in rows if row.method == 'classification' and not row.verified)


def test_looks_tell_families_apart(monkeypatch):
    families = {f'family_{i}': f'Family {i}' for i in range(40)}
    monkeypatch.setattr(plots, 'FAMILIES', families)
    assert len({(plots.colour(family), plots.shape(family)) for family in families}) == len(families)


@pytest.mark.parametrize('name', sorted({row.config for row in WITH_CONFIG}))
def test_rows_fit_their_config(name):
    path = CONFIGS / f'{name}.py'
    cfg, text = Config.fromfile(path), path.read_text()
    for row in (row for row in WITH_CONFIG if row.config == name):
        backbone = cfg.model.backbone
        cls = backbone_class(f'{row.family}/{row.arch}')
        assert MODELS.get(backbone.type) is cls
        spec = cls.archs[backbone.arch] if isinstance(backbone.arch, str) else backbone.arch
        assert all(spec[key] == cls.archs[row.arch][key] for key in ('dims', 'depths')) if row.window else backbone.arch == row.arch
        assert name.startswith(dict(semantic_fpn='semfpn').get(row.method, row.method.replace('_rcnn', 'rcnn')) + '_')
        weights = (cfg.model.backbone.get('init_cfg') or {}).get('checkpoint', '')
        assert weights.endswith('_moby') == (row.pretrain == 'moby')
        assert row.pretrain != 'in22k' or weights.endswith('_22k') or '_22k' not in row.variant
        length = row.schedule.split()[0]
        epochs = dict([('1x', 12), ('3x', 36)]).get(length) or length.endswith('ep') and int(length.removesuffix('ep')) or None
        assert cfg.train_cfg.get('max_epochs') == epochs
        assert epochs or cfg.train_cfg.max_iters == 1000 * int(length.removesuffix('k'))
        if row.crop:
            assert tuple(cfg.model.data_preprocessor.size) == row.crop
        scores = [row.box_ap, row.mask_ap, row.miou, row.miou_ms]
        docstring = ' '.join(text.split('"""')[1].split())
        assert all(re.search(rf'(?<![\d.]){re.escape(str(score))}(?!\d)', docstring) for score in scores if score is not None)


def damage(folder, change):
    """A copy of the data in which a change is made to Swin's."""
    shutil.copytree(FOLDER, folder)
    data = json.loads((folder / 'swin.json').read_text())
    change(data)
    (folder / 'swin.json').write_text(json.dumps(data))


@pytest.mark.parametrize('change, message', [
    (lambda data: data['results'][1].pop('source'), r'swin.json, result 2: source must be a text, but is missing'),
    (lambda data: data['results'][1].update(top1='81'), r'result 2: top1 must be a number between 0 and 100, but is .81.'),
    (lambda data: data['results'][0].update(top1=812), r'top1 must be a number between 0 and 100, but is 812'),
    (lambda data: data['results'][0].update(params_m=-1), r'params_m must be a number above 0'),
    (lambda data: data['results'][0].update(flops_input=[224]), r'flops_input must be a height and a width'),
    (lambda data: data['results'][0].update(flops_input=7), r'flops_input must be a height and a width'),
    (lambda data: data['results'][0].update(box_app=1), r'box_app must be left out, or one of .*box_ap'),
    (lambda data: data['results'][0].update(task='nyu'), r'task must be one of imagenet, coco, ade20k'),
    (lambda data: data['results'][0].update(method='mask-rcnn'), r'method must be one of mask_rcnn, cascade'),
    (lambda data: data['results'][0].update(verified='no'), r'verified must be true or false'),
    (lambda data: data['results'][0].update(cost_notes=['none']), r'cost_notes must be a list of cut_off, projection'),
    (lambda data: data['results'][0].update(cost_notes=7), r'cost_notes must be a list of cut_off, projection'),
    (lambda data: data['results'][0].update(ap=[1]), r'ap must be numbers by name'),
    (lambda data: data['results'][0].update(window=7.5), r'window must be a whole number above 0'),
    (lambda data: data.pop('paper'), r'must hold an object with the texts "name" and "paper"'),
    (lambda data: data['results'].append(3), r'it must be an object'),
    (lambda data: data.pop('results'), r'must hold an object with the texts "name" and "paper"'),
])  # yapf: disable
def test_damaged_results(tmp_path, change, message):
    damage(tmp_path / 'papers', change)
    with pytest.raises(ResultsError, match=message):
        load_results(tmp_path / 'papers')


def test_unreadable_results(tmp_path):
    with pytest.raises(ResultsError, match='cait.json does not exist'):
        load_results(tmp_path)
    (tmp_path / 'cait.json').write_text('{"results": [')
    with pytest.raises(ResultsError, match='cait.json is damaged'):
        load_results(tmp_path)


def test_names_of_rows():
    for name in ('maskrcnn_swin_t_coco', 'configs/maskrcnn_swin_t_coco.py', 'swin/tiny/mask_rcnn/1x/in1k'):
        assert [row.box_ap for row in resolve(name, RESULTS)] == [43.7]
    assert {row.pretrain for row in resolve('swin/tiny/mask_rcnn/1x', RESULTS)} == {'in1k', 'moby'}
    assert {row.variant for row in resolve('pvt_v2/b2', RESULTS)} == {'b2'}  # and not b2_li
    with pytest.raises(ResultsError, match='swin/giant is neither .* Known: swin/tiny/classification/300e/in1k, swin/small'):
        resolve('swin/giant', RESULTS)


# Counting.


def test_counts_of_modules():
    x = torch.randn(2, 3, 8, 6)
    assert count_macs(lambda: nn.Conv2d(3, 10, 3, stride=2, padding=1)(x)) == (2 * 10 * 12 * 27, ) * 2
    assert count_macs(lambda: nn.Conv2d(3, 6, 3, groups=3)(x)) == (2 * 6 * 24 * 9, ) * 2
    assert count_macs(lambda: nn.ConvTranspose2d(3, 5, 2, stride=2)(x)) == (2 * 48 * 3 * 5 * 4, ) * 2
    for bias in (True, False):
        linear = nn.Linear(6, 5, bias=bias)
        assert count_macs(lambda: linear(x)) == (2 * 3 * 8 * 6 * 5, ) * 2
        assert count_macs(lambda: linear(x.transpose(1, 2))) == (2 * 3 * 8 * 6 * 5, ) * 2  # not contiguous
    for norm in (nn.LayerNorm(6), nn.GroupNorm(1, 3), nn.BatchNorm2d(3), nn.BatchNorm2d(3).eval()):
        assert count_macs(lambda: norm(x)) == (2 * x.numel(), ) * 2


@pytest.mark.parametrize('name', ['swin/tiny', 'pvt_v2/b0', 't2t_vit/t2t_vit_7'])
def test_counts_are_the_same_in_every_state(name):
    """Of gradients, inference mode, autocast and threads: what ran before a count does not change it."""

    def count():
        with torch.device('meta'):
            model, images = build(name), torch.empty(1, 3, 64, 64)
        found.append(count_macs(lambda: model(images)).all)

    found = []
    count()
    for state in (torch.no_grad(), torch.inference_mode(), torch.autocast('cpu', dtype=torch.bfloat16)):
        with state:
            count()
    thread = threading.Thread(target=count)
    thread.start()
    thread.join()
    assert len(found) == 5 and len(set(found)) == 1


def test_counts_of_attention():
    q, k, v = torch.randn(3, 2, 4, 10, 8)
    expected = (0, 2 * 2 * 4 * 10 * 10 * 8)
    assert count_macs(lambda: (q @ k.transpose(-1, -2)).softmax(-1) @ v) == expected
    assert count_macs(lambda: F.scaled_dot_product_attention(q, k, v)) == expected
    assert count_macs(lambda: F.scaled_dot_product_attention(q, k, v, attn_mask=torch.randn(10, 10))) == expected
    meta = [x.to('meta') for x in (q, k, v)]
    assert count_macs(lambda: F.scaled_dot_product_attention(*meta)) == expected


@pytest.mark.parametrize('name', ['swin/tiny', 'cswin/tiny', 'pvt_v2/b0', 'sg_former/s', 'fcvit/tiny', 'msg_transformer/tiny'])
def test_counts_on_the_meta_device_are_those_of_a_real_run(name):
    model, images = build(name), torch.randn(1, 3, 96, 64)
    real = count_macs(lambda: model(images))
    model, images = model.to('meta'), images.to('meta')
    assert count_macs(lambda: model(images)) == real


@pytest.mark.parametrize('name, gmacs', [('cswin/tiny', 4.32), ('cswin/small', 6.80), ('cswin/base', 14.95), ('pvt/small', 3.8),
                                         ('pvt_v2/b2', 4.03), ('swin/tiny', 4.49), ('twins_svt/small', 2.93)])
def test_counted_cost_is_that_of_the_sheets(name, gmacs):
    with torch.device('meta'):
        model = build(name)
        images = torch.empty(1, 3, 224, 224)
    assert count_macs(lambda: model(images)).all / 1e9 == pytest.approx(gmacs, abs=.06)


@pytest.mark.parametrize('path, gmacs, params', [
    ('mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', 260, 44),
    ('retinanet/retinanet_r50_fpn_1x_coco.py', 239, 38),
])
def test_counts_of_resnets_are_those_of_the_old_tool(path, gmacs, params):
    """As the papers print them beside theirs (recollected)."""
    import mmdet
    cost = count_config(Config.fromfile(f'{mmdet.__path__[0]}/.mim/configs/{path}'))
    assert (round(cost.macs.modules / 1e9), round(cost.params / 1e6)) == (gmacs, params)
    assert cost.macs.all == cost.macs.modules


@pytest.mark.parametrize('name', ['cascade_maskrcnn_swin_t_coco', 'upernet_swin_t_ade20k'])
def test_counting_leaves_a_config_as_it_is(name):
    """Its weights above all: it may be trained afterwards."""
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    before = cfg.to_dict()
    count_config(cfg, (128, 128))
    assert cfg.to_dict() == before


def test_differences_beyond_rounding():
    assert difference(48, 47.6) == difference(48, 48.4) == difference(44.0, 43.96) == difference(25.7, 25.75) == 0
    assert difference(48, 47.4) == pytest.approx(.6) and difference(44.0, 43.7) == pytest.approx(.3)
    assert difference(None, 1.) is None


def test_every_difference_has_a_note_and_every_note_a_difference(entries, classifiers):
    assert all(entry.cost for entry in entries if entry.result.config)
    entries = entries + classifiers
    differ = {entry.result.name for entry in entries if entry.params_difference or entry.flops_difference}
    noted = {entry.result.name for entry in entries if entry.result.cost_notes}
    assert differ == noted and len(differ) > 50


def test_classifiers_are_counted_at_their_own_input(classifiers):
    assert all(entry.cost for entry in classifiers if entry.result.arch)
    entry, = [entry for entry in classifiers if entry.result.name.startswith('swin/base_window12_384/') and entry.result.pretrain == 'in1k']
    assert entry.cost.size == (384, 384) and entry.common.size == (224, 224)
    assert (round(entry.cost.params / 1e6, 2), round(entry.cost.macs.all / 1e9, 1)) == (87.9, 47.1)  # with the head
    assert '| 84.5 | 97.0 | 88 | 87.90 | = | 47.1 | 384x384 |' in to_markdown([entry])


# Tables, plot, page.


def test_tables_hold_every_row(entries):
    console = Console(width=250, file=io.StringIO())
    for part in to_rich(entries):
        console.print(part, markup=False, highlight=False)
    text, markdown = console.file.getvalue(), to_markdown(entries)
    lines = [line for line in text.splitlines() if line.startswith('│')]
    assert len(lines) == len(entries) == sum(line.startswith('| ') and '|' in line[2:] for line in markdown.splitlines()) - 2 * len(
        {entry.result.method for entry in entries})
    swin = next(line for line in lines if 'maskrcnn_swin_t_coco' in line)
    cells = [cell.strip() for cell in swin.split('│')[1:-1]]
    assert cells[:13] + cells[-1:] == [
        'Swin-T', '1x', 'in1k', '43.7', '39.8', '48', '47.79', '=', '267', '800x1280', '262.7', '265.8', '+1.2 all',
        'maskrcnn_swin_t_coco'
    ]
    assert re.search(rf'^{cells[13]}\. .*projects the output of padded window tokens', markdown, re.M)
    assert f'- {cells[14]}: SwinTransformer/Swin-Transformer-Object-Detection@c7b2011:README.md' in markdown.splitlines()
    assert '48.4?' in markdown  # not verified
    assert re.search(r'^- S\d+: arXiv 2107.00652 Table 4$', markdown, re.M)
    notes = re.findall(r'^(\d+)\. ', markdown, re.M)
    assert notes == [str(i) for i in range(1, len(notes) + 1)]


def test_csv(entries):
    rows = list(csv.DictReader(io.StringIO(to_csv(entries))))
    assert len(rows) == len(entries)
    row = next(row for row in rows if row['config'] == 'upernet_twins_svt_s_ade20k' and row['miou'] == '46.2')
    assert (row['published_gflops'], row['published_gflops_input'], row['common_input']) == ('228', '512x512', '512x2048')
    assert float(row['counted_gmacs_all']) == pytest.approx(227.9, abs=.05) and float(row['gmacs_difference']) == 0


@pytest.mark.parametrize('ending', ['png', 'svg'])
def test_plot(entries, tmp_path, ending):
    path = tmp_path / f'plot.{ending}'
    shown = [entry for entry in entries if entry.result.method == 'upernet']
    drawn = plot(shown, path)
    assert drawn == len({entry.result.config for entry in shown if entry.result.miou and entry.result.config})
    if ending == 'svg':
        text = path.read_text()
        parts = 'Shuffle Transformer', 'mIoU, published', 'UPerNet, 160k', '512x2048 or 640x2560', '>B-224 + LN + MLN<'
        assert all(name in text for name in parts) and 'PATCH' not in text
    else:
        assert path.read_bytes().startswith(b'\x89PNG')
    with pytest.raises(ResultsError, match='ends in .png, .svg, .pdf'):
        plot(shown, tmp_path / 'plot.doc')
    with pytest.raises(ResultsError, match='inner.png could not be written'):
        plot(shown, path / 'inner.png')
    with pytest.raises(ResultsError, match='nothing to plot'):
        plot(compare([row for row in RESULTS if row.method == 'classification'], None), path)


def test_page(entries):
    page = to_html(entries)
    assert re.findall(r'(?:src|href)\s*=|https?://(?!www.w3.org/2000/svg)\S+|@import', page.split('const data')[0]) == []
    data = json.loads(re.search(r'^const data = (.*);$', page, re.M)[1])
    assert len(data['records']) == len(entries)
    row = next(row for row in data['records'] if row['config'] == 'maskrcnn_swin_s_3x_coco')
    assert row['label'] == 'S' and row['box_ap'] == 48.5 and round(row['common_gmacs_all']) == 357
    assert '"DATA"' not in page


def test_legends_speak_of_counts_where_there_are_some(entries):
    rows = [row for row in RESULTS if row.method == 'mask_rcnn']
    for write in (to_html, to_markdown, lambda entries: str(to_rich(entries))):
        assert 'Counted here' in write(entries) and 'Counted here' not in write(compare(rows, None))


BROWSER = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
PHONE = """<iframe id="page" src="page.html" style="width: 390px; height: 844px"></iframe><pre id="found"></pre>
<script>page.onload = () => {
  const {documentElement: root, body} = page.contentDocument;
  const all = (path) => [...body.querySelectorAll(path)], texts = (path) => all(path).map((e) => e.textContent);
  const wide = all('*').filter((e) => !e.closest('table') && e.getBoundingClientRect().right > root.clientWidth + 1);
  found.textContent = JSON.stringify({
    width: root.scrollWidth - root.clientWidth, wide: wide.map((e) => e.outerHTML.slice(0, 80)),
    labels: texts('svg .label'), legend: texts('#legend > div')});
}</script>"""


@pytest.mark.skipif(not BROWSER, reason='needs a browser: chromium or google-chrome')
@pytest.mark.parametrize('counted', [True, False])
def test_page_on_a_phone(entries, tmp_path, counted):
    """Nothing but the table is wider than the screen, and GFLOPs at unequal inputs are marked."""
    rows = [row for row in RESULTS if row.method == 'mask_rcnn' and row.schedule == '1x']
    (tmp_path / 'page.html').write_text(to_html(entries if counted else compare(rows, None)), encoding='utf-8')
    (tmp_path / 'phone.html').write_text(PHONE)
    shown = subprocess.run(
        [BROWSER, '--headless', '--no-sandbox', '--disable-gpu', '--allow-file-access-from-files',
         f'--user-data-dir={tmp_path}/profile', '--virtual-time-budget=5000', '--dump-dom', tmp_path / 'phone.html'],
        check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    found = json.loads(html.unescape(re.search('<pre id="found">(.*)</pre>', shown)[1]))
    assert found['width'] == 0 and found['wide'] == []
    marks = [label.partition(' at ')[2] for label in found['labels']]
    if counted:  # and so drawn against counted cost
        assert marks and set(marks) == {''}
    else:
        assert any(text.startswith('GFLOPs at 800x1280, but for') for text in found['legend'])
        assert set(marks) == {'', '?', '800x600'}


def test_documents_are_not_stale(entries):
    """Written anew by `python tools/compare.py --update-docs`."""
    for path, text in documents(ROOT, entries).items():
        assert path.read_text(encoding='utf-8') == text, f'{path} is stale: python tools/compare.py --update-docs'


def test_model_index_points_to_configs():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    names = set()
    for part in index['Import']:
        for model in yaml.safe_load((ROOT / part).read_text())['Models']:
            names.add(model['Name'])
            assert (ROOT / model['Config']).is_file()
            assert all('the authors' in result['Reported by'] and result['Source'] for result in model.get('Results', ()))
    assert names == {row.config for row in WITH_CONFIG}


# Own runs.


def write_run(folder, name='maskrcnn_cswin_t_coco', lines=(), time='20260101_000000', change=None, tested=None, dump=True):
    """A work directory as mmengine leaves one, of a config here or of OpenMMLab's."""
    cfg = load_config(name) if '::' in name else Config.fromfile(CONFIGS / f'{name}.py')
    part = folder / time
    (part / 'vis_data').mkdir(parents=True)
    if dump:
        cfg.dump(folder / Path(cfg.filename).name)
    if change:
        change(cfg)
    cfg.dump(part / 'vis_data' / 'config.py')
    if lines:
        (part / 'vis_data' / 'scalars.json').write_text('\n'.join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    if tested:
        (part / f'{time}.json').write_text(json.dumps(tested))
    return folder


def epoch(number, box, mask):
    return [dict(loss=1., epoch=number, iter=100 * number, step=100 * number), {'coco/bbox_mAP': box, 'coco/segm_mAP': mask, 'step': number}]


def test_a_run_that_was_interrupted(tmp_path):
    run = write_run(tmp_path / 'run', lines=[*epoch(1, .2, .1), *epoch(2, .3, .25), '{"loss": 0.5, "ep'])
    found = read_run(run, CONFIGS)
    assert (found.iterations, found.progress, found.length, found.finished) == (200, 2, (12, 'epochs'), False)

    def change(cfg):
        cfg.train_dataloader.batch_size = 4
        cfg.train_dataloader.num_workers = 0
        cfg.code = '0.1.0, commit abc'
        cfg.val_dataloader.dataset.data_root = cfg.train_dataloader.dataset.data_root = '/elsewhere/'
        cfg.val_evaluator.ann_file = '/elsewhere/annotations/instances_val2017.json'

    write_run(run, lines=[*epoch(11, .467, .4), *epoch(12, .466, .422), ''], time='20260102_000000', change=change)
    found = read_run(run, CONFIGS)
    assert (found.iterations, found.finished, found.code) == (1200, True, '0.1.0, commit abc')
    assert found.last == pytest.approx(dict(box_ap=46.6, mask_ap=42.2)) and found.best == pytest.approx(dict(box_ap=46.7, mask_ap=42.2))
    assert found.changes == ('train_dataloader.batch_size: 2 -> 4', 'data: data/coco -> /elsewhere')
    entry, = compare(resolve('maskrcnn_cswin_t_coco', RESULTS), None, [found])
    markdown = to_markdown([entry])
    assert '| 46.7 | 42.2 | 46.6 / 42.2 (best 46.7 / 42.2) |' in markdown
    assert '1200 iterations (12 of 12 epochs), code 0.1.0, commit abc. Changes against the config: train_dataloader' in markdown


def test_a_run_evaluated_at_several_scales(tmp_path):
    name = 'upernet_cswin_t_ade20k'
    train = [dict(loss=1., iter=160000, step=160000), dict(mIoU=48.9, step=160000)]
    run = write_run(tmp_path / 'run', name, train)

    def tta(cfg):
        cfg.model = dict(type='SegTTAModel', module=cfg.model)

    write_run(run, name, time='20260102_000000', change=tta, tested=dict(mIoU=50.1))
    found = read_run(run, CONFIGS)
    assert found.last == dict(miou=48.9, miou_ms=50.1) and found.finished and found.changes == ()


def swapped(name, **options):
    """A change of a run's config: another backbone, as --backbone puts it in."""
    return lambda cfg: set_backbone(cfg, name, **options)


def test_runs_with_another_backbone_find_their_rows(tmp_path):
    """The published one of that backbone, method, schedule and pre-training, under whatever config they ran."""
    stock = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'
    cases = [
        ('maskrcnn_swin_t_coco', 'pvt_v2/b2', {}, 'maskrcnn_pvt_v2_b2_coco'), (stock, 'pvt_v2/b2', {}, 'maskrcnn_pvt_v2_b2_coco'),
        (stock, 'swin/tiny', {}, 'maskrcnn_swin_t_coco'), ('maskrcnn_swin_t_coco', 'swin/base', {}, None),
        (stock, 'pvt_v2/b2', dict(init_cfg=None), None)
    ]
    for i, (name, backbone, options, expected) in enumerate(cases):
        run = read_run(write_run(tmp_path / str(i), name, epoch(12, .44, .4), change=swapped(backbone, **options)), CONFIGS)
        assert (run.recipe.backbone, run.recipe.method, run.recipe.schedule, run.config) == (backbone, 'mask_rcnn', '1x', expected)
        rows = [row for row in RESULTS if run.belongs_to(row)]
        own = own_rows([run], RESULTS)
        if expected:
            assert {row.config for row in rows} == {expected} and own == []
            assert any('optim_wrapper' in change for change in run.changes)
            assert f'Changes against {expected}: ' in to_markdown(compare(rows, None, [run]))
            continue
        assert rows == [] and run.changes is (None if name == stock else run.changes)
        row, = own
        assert (row.name, row.box_ap) == (f'{backbone}/mask_rcnn/1x/{"none" if options else "in1k"}', None)
        line = next(line for line in to_markdown(compare(own, None, [run])).splitlines() if line.startswith('| ') and '44.0' in line)
        assert '| 44.0 / 40.0 |' in line
        assert len(json.loads(re.search(r'^const data = (.*);$', to_html(compare(own, None, [run])), re.M)[1])['records']) == 1


def test_runs_on_other_data_have_no_row(tmp_path):
    def shapes(cfg):
        cfg.model.roi_head.bbox_head.num_classes = cfg.model.roi_head.mask_head.num_classes = 6
        set_backbone(cfg, 'swin/base')

    run = read_run(write_run(tmp_path / 'run', 'maskrcnn_swin_t_coco', epoch(12, .9, .9), change=shapes), CONFIGS)
    assert run.recipe.task is None and own_rows([run], RESULTS) == [] and not any(run.belongs_to(row) for row in RESULTS)


def test_published_weights_that_were_evaluated(tmp_path):
    """tools/test.py without a training: the weights' row of ImageNet, however they were trained."""
    stock = 'mmpretrain::resnet/resnet50_8xb32_in1k.py'
    scores = {'accuracy/top1': 84.47, 'accuracy/top5': 96.9}

    def evaluate(weights):
        def change(cfg):
            set_backbone(cfg, re.sub('_22kto1k$', '', weights.removeprefix('mmvit://')), init_cfg=None)
            cfg.load_from = weights
        return change

    for weights, pretrain, top1 in (('mmvit://swin/base_window12_384', 'in1k', 84.5), ('mmvit://swin/base_window12_384_22kto1k', 'in22k', 86.4)):
        run = read_run(write_run(tmp_path / pretrain, stock, change=evaluate(weights), tested=scores), CONFIGS)
        assert (run.weights, run.recipe.pretrain, run.last) == (weights, pretrain, dict(top1=84.47, top5=96.9))
        rows = [row for row in RESULTS if run.belongs_to(row)]
        assert [row.top1 for row in rows] == [top1]
        text = to_markdown(compare(rows, None, [run]))
        assert f'84.5 / 96.9 (weights {weights})' in text and 'iterations' not in text.split('## Own runs')[1]


def test_a_classifier_that_was_trained(tmp_path):
    lines = [dict(loss=1., epoch=100, iter=9, step=9), {'accuracy/top1': 81., 'accuracy/top5': 95., 'step': 100}]
    run = read_run(
        write_run(tmp_path / 'run', 'mmpretrain::resnet/resnet50_8xb32_in1k.py', lines, change=swapped('swin/tiny')), CONFIGS)
    assert run.finished and run.recipe[:5] == ('swin/tiny', 'imagenet', 'classification', '100e', 'in1k')
    row, = own_rows([run], RESULTS)
    entry, = compare([row], CONFIGS, [run])
    assert entry.cost.params == 28288354 and '| 81.0 / 95.0 |' in to_markdown([entry])


# One model.


@pytest.mark.parametrize('name, method, size', [
    ('mmdet::atss/atss_r50_fpn_1x_coco.py', 'ATSS', (800, 1280)), ('mmdet::rtmdet/rtmdet_s_8xb32-300e_coco.py', 'RTMDet', (800, 1280)),
    ('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py', 'Faster R-CNN', (800, 1280)),
    ('mmseg::ocrnet/ocrnet_hr18_4xb4-80k_ade20k-512x512.py', 'OCRNet', (512, 2048)),
    ('mmpretrain::resnet/resnet50_8xb32_in1k.py', 'ImageNet classification', (224, 224)),
])  # yapf: disable
def test_backbones_under_one_config(name, method, size):
    cfg = load_config(name)
    before = cfg.to_dict()
    first, second = compare_under(cfg, ['pvt_v2/b0', 'shuffle_transformer/tiny'])
    assert cfg.to_dict() == before
    assert first.cost.size == size and first.cost.macs.all > first.cost.macs.modules > 0
    assert second.cost.params - first.cost.params > 20e6
    text = to_markdown([first, second])
    assert f'## {method}' in text and (first.result.top1, second.result.top1) == (70.5, second.result.top1)


def test_a_backbone_that_does_not_fit_says_why(tmp_path):
    cfg = load_config('mmdet::atss/atss_r50_fpn_1x_coco.py')
    cfg.model.backbone.dilations = (1, 1, 1, 2)
    entry, = compare_under(cfg, ['swin/tiny'])
    text = to_markdown([entry])
    assert entry.cost is None and '| PVT' not in text and '1. Does not fit, or is not counted: model.backbone.dilations=(1, 1, 1, 2)' in text
    entry, = compare_under(load_config('mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py'), ['swin/tiny'])
    assert entry.cost is None and 'DINOHead can not be counted' in entry.result.note


def test_under_stands_beside_own_runs_and_speed(tmp_path):
    stock = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'
    run = read_run(write_run(tmp_path / 'run', stock, epoch(12, .44, .4), change=swapped('pvt_v2/b0')), CONFIGS)
    speed = Speed('here', {'pvt_v2/b0': dict(latency=.1, images_per_second=10., peak_memory=2**30)}, {}, 'here')
    entries = compare_under(load_config(stock), ['pvt_v2/b0', 'pvt_v2/b1'], [run], speed)
    text = to_markdown(entries)
    assert re.search(r'\| PVTv2 b0 \| 1x \| in1k \| 70.5 \| 44.0 / 40.0 \| 100.0 \| 10.00 \| 1.00 \| 23.\d\d \|', text)
    assert re.search(r'\| PVTv2 b1 \| 1x \| in1k \| 78.7 \|  \|  \|  \|  \| 33.\d\d \|', text)
    assert plot(entries, tmp_path / 'plot.svg') == 2 and 'top-1, published' in (tmp_path / 'plot.svg').read_text()


def test_bad_runs(tmp_path):
    with pytest.raises(ResultsError, match='There is no work directory'):
        find_runs([tmp_path / 'nowhere'])
    with pytest.raises(ResultsError, match='holds no log of a run'):
        find_runs([tmp_path])
    with pytest.raises(ResultsError, match='holds no log of a run'):
        read_run(tmp_path, CONFIGS)
    with pytest.raises(ResultsError, match='no log of a training run'):
        read_run(write_run(tmp_path / 'a'), CONFIGS)
    with pytest.raises(ResultsError, match='scalars.json, line 1 is damaged'):
        read_run(write_run(tmp_path / 'b', lines=['{"loss": 1', *epoch(1, .1, .1)]), CONFIGS)
    with pytest.raises(ResultsError, match='must hold the copy of one config'):
        read_run(write_run(tmp_path / 'c', lines=epoch(1, .1, .1), dump=False), CONFIGS)

    def other(cfg):
        cfg.model.backbone.arch = 'giant'

    with pytest.raises(ResultsError, match="another config than maskrcnn_cswin_t_coco: its backbone has arch='giant', not 'tiny'"):
        read_run(write_run(tmp_path / 'd', lines=epoch(1, .1, .1), change=other), CONFIGS)
    several = write_run(tmp_path / 'e', lines=epoch(1, .1, .1))
    write_run(several, time='20260102_000000', change=lambda cfg: cfg.model.backbone.update(arch='small'), dump=False)
    with pytest.raises(ResultsError, match="000 holds a log of another model than 20260101_000000: its backbone has arch='small'"):
        read_run(several, CONFIGS)
    assert find_runs([tmp_path]) == sorted(tmp_path.iterdir())


@pytest.mark.parametrize('text', [
    'CODE', 'x = CODE', 'x = [CODE]', 'x = (1, CODE)', 'x = {1, CODE}', 'x = dict(a=CODE)', 'x = dict(CODE)',
    'x = dict(**CODE)', 'x = {CODE: 1}', "x = {'a': CODE}", 'x = {**CODE}', 'x = dict({}, a=CODE)',
    "x = f'{CODE}'", "x = f'{1:{CODE}}'", 'x = [CODE for _ in (1, )]', 'x = {CODE for _ in (1, )}',
    'x = {1: CODE for _ in (1, )}', 'x = [i for i in (1, ) if CODE]', 'x = list(CODE for _ in (1, ))', 'x = (y := CODE)',
    'x = lambda a=CODE: 1', 'x = 1 if CODE else 2', 'x = CODE or 1', 'x = not CODE', 'x = -CODE', 'x = 1 + CODE', 'x = 1 < CODE',
    'x = [1][CODE]', 'x = [1][CODE:]', 'x = [*CODE]', 'x = CODE.parent', 'x: CODE = 1', 'x = y = CODE', 'x.y = CODE',
    'x[CODE] = 1', '(x, y) = CODE', 'x += CODE', 'del CODE.x', 'assert CODE', 'raise CODE', 'import os', 'from os import system',
    'from __future__ import annotations', '@CODE\ndef x(): ...', 'def x(a=CODE): ...', 'def x(a: CODE): ...', '@CODE\nclass x: ...',
    'class x(CODE): ...', 'class x:\n    CODE', 'if CODE: x = 1', 'for _ in CODE: x = 1', 'while CODE: x = 1',
    'with CODE: x = 1', 'try:\n    CODE\nfinally: x = 1', 'match CODE:\n    case _: x = 1', 'async def x(): await CODE',
    'x = (yield CODE)', 'global x', 'x = {{ CODE }}', "x = dict(type=int)", 'x = torch.float32', 'x = ...', 'x = 1j',
    "x = 'a' * 10**9", "x = eval('1')", 'x = dict', 'dict = 1\nx = dict(a=dict.y)', 'x = ' + '9' * 5000, 'x = 0x' + 'f' * 20,
    'x = ' + '[' * 90 + ']' * 90, 'x = ' + '(' * 100000, 'x = ' + '-' * 100000 + '1', 'x = 1' + '.real' * 100000, 'x = (',
    'x = \0', '    x = 1', "x = '\xff", '# ' + 'a' * 2**20,
    ], ids=lambda text: text[:30].strip() or 'blanks')  # yapf: disable
def test_a_dumped_config_is_never_run(tmp_path, text):
    path, victim = tmp_path / 'config.py', tmp_path / 'victim'
    path.write_text('a = 1\n' + text.replace('CODE', f"__import__('pathlib').Path({str(victim)!r}).touch()"), encoding='latin-1')
    with pytest.raises(ResultsError, match=re.escape(str(path))) as error:
        read_dumped(path)
    assert not victim.exists() and '\n' not in str(error.value) and len(str(error.value)) < 300 + len(str(path))


def test_a_dumped_config_imports_nothing(tmp_path):
    """As mmengine does where it reads one: custom_imports, and values that it puts into {{ }}."""
    run = write_run(tmp_path / 'run', lines=epoch(1, .1, .1))
    path, = run.glob('*/vis_data/config.py')
    text = "custom_imports = dict(imports=['nowhere_at_all'])\n_base_ = '/nowhere.py'\na = '{{ $HOME:b }}'\n"
    path.write_text(text + path.read_text())
    assert 'a: not set -> {{ $HOME:b }}' in read_run(run, CONFIGS).changes


def test_what_mmengine_dumps_is_read_as_mmengine_reads_it(tmp_path):
    settings = dict(
        quotes='a\'b"\n\u2028\\', numbers=[1, -2, -.5, 1e-8, 2**40, True, None], nested=((1, (2, [3, dict(a=())])), [], {}),
        marked={'a.b': 1, 'c d': dict(e=[{'f-g': dict(h=1)}])}, indexed={0: 'a', 1: dict(b=2)}, long=['word ' * 40] * 3)
    Config(settings).dump(tmp_path / 'config.py')
    assert read_dumped(tmp_path / 'config.py') == Config.fromfile(tmp_path / 'config.py').to_dict() == settings
    Config(dict(a=float('inf'), b=[-float('inf'), float('nan')])).dump(tmp_path / 'config.py')
    assert str(read_dumped(tmp_path / 'config.py')) == "{'a': inf, 'b': [-inf, nan]}"


def put(name, content):
    """A damage: the content of a file of a run."""

    def change(run):
        path = run / '20260101_000000' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return change


def set_line(**values):
    """A damage: the only line of a log, which is that of a step unless it is said."""
    return put('vis_data/scalars.json', json.dumps(dict(dict(loss=1., step=1), **values)) + '\n')


def score(value):
    return put('vis_data/scalars.json', json.dumps(dict(loss=1., step=1)) + f'\n{{"coco/bbox_mAP": {value}, "step": 1}}\n')


def edit(old, new):
    """A damage: a word of the dumped config."""

    def change(run):
        path = run / '20260101_000000' / 'vis_data' / 'config.py'
        text = path.read_text()
        assert re.search(old, text, re.S)
        path.write_text(re.sub(old, new, text, flags=re.S))

    return change


def instead(name, make):
    """A damage: something else where a file belongs."""

    def change(run):
        path = run / '20260101_000000' / name
        path.unlink(missing_ok=True)
        make(path)

    return change


DAMAGE = {
    'a step that is null': (set_line(step=None), r'line 1: step must be a whole number, but is None'),
    'a step that is a text': (set_line(step='7'), r"step must be a whole number, but is '7'"),
    'a step that is a fraction': (set_line(step=1.5), r'step must be a whole number, but is 1.5'),
    'a step that is a list': (set_line(step=[1]), r'step must be a whole number, but is a list'),
    'a step below zero': (set_line(step=-1), r'step must be a whole number, but is -1'),
    'no step': (put('vis_data/scalars.json', '{"loss": 1}\n'), r'step must be a whole number, but is missing'),
    'an epoch that is null': (set_line(epoch=None), r'epoch must be a whole number, but is None'),
    'an epoch that is true': (set_line(epoch=True), r'epoch must be a whole number, but is True'),
    'a score that is null': (score('null'), r'line 2: coco/bbox_mAP must be a number up to 1, but is None'),
    'a score that is NaN': (score('NaN'), r'bbox_mAP must be a number up to 1, but is nan'),
    'a score that is infinite': (score('-Infinity'), r'bbox_mAP must be a number up to 1, but is -inf'),
    'a score that is a text': (score('"0.5"'), r"bbox_mAP must be a number up to 1, but is '0.5'"),
    'a score that is a list': (score('[0.5]'), r'bbox_mAP must be a number up to 1, but is a list'),
    'a score that is true': (score('true'), r'bbox_mAP must be a number up to 1, but is True'),
    'a score in percent': (score('46.7'), r'bbox_mAP must be a number up to 1, but is 46.7'),
    'a score of 400 digits': (score('1' * 400), r'bbox_mAP must be a number up to 1, but is 111'),
    'a score of 5000 digits': (score('1' * 5000), r'line 2 is damaged'),
    'a line that is a list': (put('vis_data/scalars.json', '[["loss", 1], ["step", 1]]\n'), r'line 1 is damaged: expected an object'),
    'a line that is null': (put('vis_data/scalars.json', 'null\n'), r'line 1 is damaged: expected an object'),
    'a line that is no JSON': (put('vis_data/scalars.json', "{'loss': 1}\n"), r'line 1 is damaged: Expecting property name'),
    'a line that is cut off': (put('vis_data/scalars.json', '{"loss": 1.\n{"loss": 1., "step": 2}\n'), r'line 1 is damaged'),
    'a line that is nested deep': (put('vis_data/scalars.json', '[' * 10**5 + '\n'), r'line 1 is damaged: .*recursion'),
    'a line without an end': (put('vis_data/scalars.json', '{"loss": "' + 'a' * 2**21), r'line 1 is longer than 1 MiB'),
    'zeros': (put('vis_data/scalars.json', bytes(512) + b'\n{"loss": 1, "step": 1}\n'), r'line 1 is damaged'),
    'a picture': (put('vis_data/scalars.json', b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR'), r"line 1 is damaged: 'utf-8' codec"),
    'UTF-16': (put('vis_data/scalars.json', '{"loss": 1, "step": 1}\n'.encode('utf-16')), r"line 1 is damaged: 'utf-8' codec"),
    'Latin 1': (put('vis_data/scalars.json', b'{"loss": 1, "step": 1, "\xe9": 1}\n'), r"line 1 is damaged: 'utf-8' codec"),
    'an empty log': (put('vis_data/scalars.json', ''), r'holds no log of a training run'),
    'an evaluation that is damaged': (put('20260101_000000.json', '{"coco/bbox_mAP": null}\n'), r'000.json, line 1: .*bbox_mAP must'),
    'a folder for a log': (instead('vis_data/scalars.json', os.mkdir), r'scalars.json must be a file, but is a folder'),
    'a link to itself for a log': (instead('vis_data/scalars.json', lambda path: path.symlink_to(path)),
                                   r'scalars.json could not be read: Too many levels of symbolic links'),
    'a link to nothing for a log': (instead('vis_data/scalars.json', lambda path: path.symlink_to('nowhere')),
                                    r'scalars.json could not be read: No such file'),
    'a pipe for a log': (instead('vis_data/scalars.json', os.mkfifo), r'scalars.json must be a file, but is a folder or a device'),
    'a folder for a config': (instead('vis_data/config.py', os.mkdir), r'config.py must be a file, but is a folder'),
    'a pipe for a config': (instead('vis_data/config.py', os.mkfifo), r'config.py must be a file, but is a folder or a device'),
    'a device for a config': (instead('vis_data/config.py', lambda path: path.symlink_to('/dev/zero')), r'config.py must be a file'),
    'an empty config': (put('vis_data/config.py', ''), r'config.py: model must be a dict, but is missing'),
    'a config in UTF-16': (put('vis_data/config.py', 'a = 1\n'.encode('utf-16')), r"config.py is not a config .*'utf-8' codec"),
    'a config that is cut off': (edit(r'train_cfg = dict\(.*', 'train_cfg = dict('), r'config.py is not a config .* damaged'),
    'code in a config': (edit(r'\Z', '__import__("os").abort()\n'), r'config.py, line \d+ holds Expr, where .* is not run'),
    'no model': (edit(r'\nmodel = ', '\nmodell = '), r'config.py: model must be a dict, but is missing'),
    'a model that is a list': (edit(r'\Z', 'model = []\n'), r'config.py: model must be a dict, but is a list'),
    'a model without a backbone': (edit(r'\Z', "model = dict(type='MaskRCNN')\n"), r'backbone must be a dict, but is missing'),
    'a backbone that is a text': (edit(r'\Z', "model = dict(type='MaskRCNN', backbone='swin')\n"), r"must be a dict, but is 'swin'"),
    'a type that is a list': (edit(r'\Z', 'model = dict(type=[], backbone=dict(type={}))\n'), r'its backbone has type={}'),
    'test-time augmentation of nothing': (edit(r'\Z', "model = dict(type='DetTTAModel')\n"), r'module must be a dict, but is missing'),
    'no length': (edit('max_epochs=12,', ''), r'train_cfg must hold max_epochs or max_iters'),
    'a length that is null': (edit('max_epochs=12', 'max_epochs=None'), r'train_cfg must hold max_epochs or max_iters'),
    'a length that is a text': (edit('max_epochs=12', "max_epochs='12'"), r"max_epochs must be a whole number above 0, but is '12'"),
    'no loop': (edit(r'\ntrain_cfg = ', '\ntrain_cfgs = '), r'train_cfg must be a dict, but is missing'),
    'a loop that is a list': (edit(r'\Z', 'train_cfg = [12]\n'), r'train_cfg must be a dict, but is a list'),
}  # yapf: disable


def test_damaged_logs_end_in_one_line(tmp_path, monkeypatch, capsys):
    """Through the tool: one line, exit status 2."""
    main = runpy.run_path(str(ROOT / 'tools' / 'compare.py'))['main']
    sound = write_run(tmp_path / 'sound', lines=epoch(1, .1, .1))
    for number, (name, (change, message)) in enumerate(DAMAGE.items()):
        folder = shutil.copytree(sound, tmp_path / str(number))
        change(folder)
        monkeypatch.setattr(sys, 'argv', ['compare.py', '--no-count', '--runs', str(folder)])
        with pytest.raises(SystemExit) as end:
            run(main)
        out, error = capsys.readouterr()
        assert (end.value.code, out) == (2, '') and error.count('\n') == 1, name
        assert re.search(message, error) and str(folder) in error, (name, error)


def test_what_a_killed_run_leaves_is_no_damage(tmp_path):
    sound = write_run(tmp_path / 'sound', lines=[*epoch(1, .2, .1), ''])
    for i, rest in enumerate((b'{"loss": 1., "st', b'{"loss": 1., "a": "\xc3', bytes(64), b'\n\n')):
        folder = shutil.copytree(sound, tmp_path / str(i))
        with (folder / '20260101_000000' / 'vis_data' / 'scalars.json').open('ab') as log:
            log.write(rest)
        assert read_run(folder, CONFIGS).iterations == 100


def test_texts_of_a_run_stay_texts(tmp_path):
    """In the page, where a browser would run them, in a spreadsheet, and on a terminal."""
    texts = ['</script><script>alert(1)//', '<!--<script>', '\u2028\u2029', '=1+1', '+1', '-1', '@A1', '\t=1', '\r=1', '\x1b[31m']
    found = read_run(write_run(tmp_path / 'run', lines=epoch(1, .1, .1), change=lambda cfg: cfg.update(code=''.join(texts))), CONFIGS)
    assert '\n' not in found.code and found.code.isprintable() and found.code.startswith(''.join(texts[:2]))
    runs = [dataclasses.replace(found, code=text, changes=(text, ), work_dir=Path(f'=run{text}')) for text in texts]
    entries = compare(resolve('maskrcnn_cswin_t_coco', RESULTS), None, runs)
    page = to_html(entries)
    script = page.split('<script>')[1].split('</script>')[0]
    assert page.count('<script') == page.count('</script') == 1 and '<!--' not in page and not re.search('[\u2028\u2029]', page)
    data = json.loads(re.search(r'^const data = (.*);$', script, re.M)[1])
    assert [row['own_code'] for row in data['records']][:2] == texts[:2]
    table = to_csv(entries)
    rows = list(csv.DictReader(io.StringIO(table)))
    assert len(rows) == len(texts) and not any(value[:1] in tuple('=+@\t\r') for row in rows for value in row.values())
    assert [row['own_code'] for row in rows][3:7] == ["'=1+1", "'+1", "'-1", "'@A1"]
    assert rows[1]['own_work_dir'] == "'=run<!--<script>" and float(rows[0]['own_last_box_ap']) == pytest.approx(10)


def test_numbers_below_zero_are_numbers_in_a_spreadsheet(entries):
    rows = csv.DictReader(io.StringIO(to_csv(entries)))
    assert any(row['params_difference_m'].startswith('-') and float(row['params_difference_m']) < 0 for row in rows)


@pytest.mark.parametrize('change', [
    lambda data: data.update(machine=[]), lambda data: data.update(settings='cpu'), lambda data: data.update(rows=3),
    lambda data: data['settings'].update(size=3), lambda data: data['rows'].append([]), lambda data: data['rows'][0].update(name=[]),
    lambda data: data['rows'][0].update(latency=None), lambda data: data['rows'][0].update(latency='1'),
    lambda data: data['rows'][0].update(latency=float('nan')), lambda data: data['rows'][0].update(latency=10**400),
])  # yapf: disable
def test_damaged_speed(tmp_path, change):
    data = dict(
        settings=dict(size=[64, 64], mode='infer', batch=1, dtype='float32', device='cpu', compile=False, with_cp=False),
        machine=dict(platform='Linux', torch='2.1', threads=1),
        rows=[dict(name='swin/tiny', latency=.1, images_per_second=10., peak_memory=1e9)])
    path = tmp_path / 'speed.json'
    path.write_text(json.dumps(data))
    assert read_speed(path).rows['swin/tiny']['latency'] == .1
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(ResultsError, match='speed.json is not a file that tools/benchmark.py --json writes, or it is damaged'):
        read_speed(path)


def measurements(folder, name, share=.65, **settings):
    """A file as tools/benchmark.py writes it, with two rows."""
    row = dict(params=3e6, macs=2e9, latency=.1, images_per_second=10., peak_memory=2**30, share_of_matmul_rate=share)
    row.update(dict(peer='theirs', peer_latency=.12, difference=2e-6) if settings.get('peer') else {})
    (folder / f'{name}.json').write_text(json.dumps(dict(
        settings=dict(dict(size=[224, 224], mode='infer', batch=1, dtype='float32', device='cpu', compile=False, with_cp=False), **settings),
        machine=dict(platform='Linux x86_64', cpu='CPU Z', cpus=2, torch='2.1', threads=1),
        rows=[dict(row, name='swin/tiny'), dict(row, name='pvt/tiny', share_of_matmul_rate=.9)])))


def test_speed_document(tmp_path):
    text = speed_document(tmp_path)
    assert 'Not recorded yet: `make speed DEVICE=cpu`' in text and 'Not recorded yet: `make speed DEVICE=cuda`' in text
    measurements(tmp_path, 'train', mode='train')
    measurements(tmp_path, 'train_with_cp', mode='train', with_cp=True)
    measurements(tmp_path, 'large', share=.7, size=[800, 1216])
    measurements(tmp_path, 'peer', peer='timm')
    measurements(tmp_path, 'gpu', share=.1, device='cuda:0', mode='train', with_cp=True)
    text = speed_document(tmp_path)
    assert 'Not recorded' not in text
    cpus, gpus = text.split('## On GPUs')
    assert cpus.count('CPU Z, 2 CPUs') == 3, 'with and without checkpointing is one table'
    assert '| `swin/tiny` | 3.0 | 2.0 | 100.0 | 10.00 | 65% | 1024 | 100.0 | 1024 |' in cpus
    assert 'The goal is 60% of the rate of matrix multiplication. Below it: none.' in cpus
    assert 'The goal is 70% of the rate of matrix multiplication. Below it: none.' in cpus
    assert '### Inference beside timm, 1 x 224x224, float32' in cpus and '| 120.0 | 1.20 | 2e-06 | `theirs` |' in cpus
    assert '### Training, 1 x 224x224, float32, with_cp' in gpus and 'The goal' not in gpus
    measurements(tmp_path, 'large', share=.69, size=[800, 1216])
    assert 'Below it: `swin/tiny`.' in speed_document(tmp_path)
    measurements(tmp_path, 'large_again', size=[800, 1216], runs=3)
    with pytest.raises(ResultsError, match='Two files hold measurements under the same conditions: infer, .* 800x1216'):
        speed_document(tmp_path)


# The tools.


def test_measured_speed(tmp_path):
    call('benchmark.py', 'pvt_v2/b0', '--size', '64x64', '--runs', '1', '--device', 'cpu', '--json', tmp_path / 'speed.json')
    speed = read_speed(tmp_path / 'speed.json')
    assert speed.conditions.startswith('infer, batches of 1 x 64x64, float32, cpu (')
    first, second = compare(resolve('pvt_v2/b0/mask_rcnn/1x', RESULTS) + resolve('pvt_v2/b1/mask_rcnn/1x', RESULTS), None, speed=speed)
    assert first.speed['latency'] > 0 and second.speed is None
    assert f'| {1e3 * first.speed["latency"]:.1f} | {first.speed["images_per_second"]:.2f} |' in to_markdown([first, second])
    (tmp_path / 'speed.json').write_text('{"settings": {}}')
    with pytest.raises(ResultsError, match='damaged'):
        read_speed(tmp_path / 'speed.json')


def test_compare_prints_and_writes(tmp_path):
    shown = call('compare.py', '--family', 'swin', '--method', 'upernet', '--pretrain', 'moby')
    assert re.search(r'Swin-T +│ 160k +│ moby .* 59.94 .* upernet_swin_t_moby_ade20k', shown)
    files = [tmp_path / name for name in ('table.csv', 'plot.svg', 'page.html')]
    call('compare.py', '--config', 'maskrcnn_pvt_t_coco', '--format', 'csv', '--out', files[0], '--plot', files[1],
         '--html', files[2])
    row, = csv.DictReader(files[0].open())
    assert row['counted_params_m'].startswith('32.88') and all(path.stat().st_size for path in files)
    write_run(tmp_path / 'runs' / 'a', 'maskrcnn_pvt_t_coco', epoch(12, .367, .351))
    call('compare.py', '--config', 'configs/maskrcnn_pvt_t_coco.py', '--no-count', '--runs', tmp_path / 'runs', '--out', files[0])
    assert re.search(r'36\.7 │ +35\.1 │ +36\.7 / 35\.1 ', files[0].read_text())


@pytest.mark.parametrize('options, message', [
    (['--family', 'swine'], r'--family swine: there is no such row. Known: cait, .*swin'),
    (['--method', 'mask-rcnn'], r'Known: .*mask_rcnn'),
    (['--config', 'maskrcnn_swin_x_coco'], r'--config maskrcnn_swin_x_coco: there is no such row'),
    (['--family', 'pvt', '--pretrain', 'moby'], r'No row has all of what was asked for'),
    (['--runs', 'nowhere'], r'There is no work directory nowhere'),
    (['--runs', 'docs'], r'docs holds no log of a run'),
    (['--config', 'maskrcnn_pvt_t_coco', '--plot', 'plot.doc'], r'ends in .png, .svg, .pdf'),
    (['--update-docs', '--family', 'pvt'], r'--update-docs writes all rows'),
    (['--under', 'mmdet::nowhere.py'], r'mmdet has no config nowhere.py'),
    (['--under', 'configs/maskrcnn_pvt_t_coco.py', '--schedule', '1x'], r'give no --schedule with it'),
    (['--under', 'configs/maskrcnn_pvt_t_coco.py', '--family', 'swine'], r'--family swine: there is no such family. Known: cait'),
])
def test_bad_input_leaves_tables_as_they_were(tmp_path, options, message):
    out = tmp_path / 'table.txt'
    out.write_text('before')
    log = call('compare.py', *options, '--out', out, status=2)
    assert re.search(message, log) and 'Traceback' not in log
    assert out.read_text() == 'before' and os.listdir(tmp_path) == ['table.txt']


@pytest.fixture
def full_disk(tmp_path):
    """A folder on a disk of 64 KiB that is nearly full."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    if not hasattr(os, 'geteuid') or os.geteuid() or subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder]).returncode:
        pytest.skip('needs the right to mount a file system')
    (folder / 'rest').write_bytes(bytes(56 * 1024))
    yield folder
    subprocess.run(['umount', folder], check=True)


def test_a_full_disk_leaves_what_was_there(full_disk, monkeypatch, capsys):
    main = runpy.run_path(str(ROOT / 'tools' / 'compare.py'))['main']
    for option, name in (('--plot', 'plot.png'), ('--plot', 'plot.svg'), ('--plot', 'plot.pdf'), ('--html', 'page.html'), ('--out', 'table.txt')):
        path = full_disk / name
        path.write_text('before')
        monkeypatch.setattr(sys, 'argv', ['compare.py', '--family', 'pvt', '--schedule', '1x', *['--no-count'] * (option != '--plot'), option, str(path)])
        with pytest.raises(SystemExit) as end:
            run(main)
        error = capsys.readouterr().err
        assert end.value.code == 2 and re.search(rf'{name} could not be written: .*No space left on device', error)
        assert path.read_text() == 'before' and sorted(os.listdir(full_disk)) == sorted([name, 'rest'])
        path.unlink()


def test_links_and_devices_are_written_through(tmp_path):
    (tmp_path / 'real').write_text('before')
    (tmp_path / 'link').symlink_to('real')
    os.mkfifo(tmp_path / 'pipe')
    reader = os.open(tmp_path / 'pipe', os.O_RDONLY | os.O_NONBLOCK)
    for name in ('link', 'pipe'):
        with replacing(tmp_path / name) as part:
            part.write_text('after')
    assert os.read(reader, 100) == b'after' and (tmp_path / 'pipe').is_fifo()
    assert (tmp_path / 'link').is_symlink() and (tmp_path / 'real').read_text() == 'after'
    os.close(reader)
    assert sorted(os.listdir(tmp_path)) == ['link', 'pipe', 'real']


def test_reproduce_says_what_is_missing():
    rows = ('cswin/tiny/mask_rcnn/1x', 'upernet_sg_former_s_ade20k')
    log = call('reproduce.py', *rows, '--dry-run', '--data-root', 'docs', MMVIT_WEIGHTS='/nowhere')
    assert 'published: box AP 46.7, mask AP 42.2 (arXiv 2107.00652 Table 4)' in log
    assert re.search(r'dist_train.sh configs/maskrcnn_cswin_t_coco.py \d+ --amp|train.py configs/maskrcnn_cswin_t_coco.py', log)
    assert 'cswin/tiny will be fetched to /nowhere/cswin_tiny_224.pth' in log
    assert re.search(r'missing:\n.*annotations/instances_train2017.json, which does not exist', log)
    assert 'images/validation, which does not exist' in log and 'put the file at /nowhere/SG-Former-S.pth' in log
    assert 'tools/test.py configs/upernet_sg_former_s_ade20k.py work_dirs/upernet_sg_former_s_ade20k/iter_160000.pth --tta' in log
    assert 'missing:' in call('reproduce.py', *rows, '--run', '--gpus', '0', '--data-root', 'docs', status=2)


@pytest.mark.parametrize('name, message', [
    ('swin/giant', 'neither the name of a config'),
    ('swin/tiny', 'swin/tiny is several rows. Choose of .*maskrcnn_swin_t_coco'),
    ('swin/tiny/atss', 'no config for atss with Swin-T'),
])
def test_reproduce_bad_names(name, message):
    log = call('reproduce.py', name, '--dry-run', status=2)
    assert re.search(message, log) and 'Traceback' not in log


def test_reproduce_runs_goes_on_and_compares(tmp_path):
    """From weights in the authors' format to a row of the table, on a few drawn images."""
    make_shapes(tmp_path / 'shapes', num_train=4, num_val=2, size=(64, 64))
    torch.save(dict(state_dict_ema=authors_state(read_record(DATA / 'cswin' / 'tiny.json'))), tmp_path / 'cswin_tiny_224.pth')
    workers = [f'{kind}_dataloader.{key}' for kind in ('train', 'val') for key in ('num_workers=0', 'persistent_workers=False')]
    command = [
        'reproduce.py', 'semfpn_cswin_t_ade20k', '--run', '--gpus', '0', '--data-root', tmp_path / 'shapes', '--work-dirs',
        tmp_path / 'runs', '--cfg-options', *workers, 'train_dataloader.batch_size=1', 'train_cfg.val_interval=2',
        'default_hooks.checkpoint.interval=1', 'default_hooks.logger.interval=1', 'model.data_preprocessor.size=(64,64)',
        'train_dataloader.dataset.pipeline.2.scale=(64,64)', 'train_dataloader.dataset.pipeline.3.crop_size=(64,64)',
        'val_dataloader.dataset.pipeline.1.scale=(64,64)'
    ]
    log = call(*command, 'train_cfg.max_iters=1', 'train_cfg.val_interval=1', MMVIT_WEIGHTS=str(tmp_path))
    assert '--resume' not in log and re.search(r'48\.2 │ +\d+\.\d ', log)
    work_dir = tmp_path / 'runs' / 'semfpn_cswin_t_ade20k'
    dumped, = work_dir.glob('*/vis_data/config.py')
    dumped.write_text(re.sub(r'max_iters=1\b', 'max_iters=2', dumped.read_text()))  # as if it had been stopped halfway
    log = call(*command, 'train_cfg.max_iters=2', MMVIT_WEIGHTS=str(tmp_path))
    assert '--resume' in log
    run = read_run(work_dir, CONFIGS)
    assert (run.iterations, run.finished) == (2, True)
    assert run.code.startswith('0.1.0') and 'train_cfg.max_iters: 80000 -> 2' in run.changes
    log = call(*(part for part in command if part != '--run'), 'train_cfg.max_iters=2', MMVIT_WEIGHTS=str(tmp_path))
    assert 'tools/train.py' not in log and 'tools/compare.py --config semfpn_cswin_t_ade20k' in log
