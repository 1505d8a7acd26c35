"""Files for other programs give what the models give."""
import importlib.util
import sys
from types import SimpleNamespace

import pytest
import torch
from conftest import ROOT, SMALLEST, is_column, tiny
from torch.torch_version import TorchVersion

pytestmark = pytest.mark.skipif(torch.__version__ < TorchVersion('2.5'), reason='export needs PyTorch 2.5')
_spec = importlib.util.spec_from_file_location('export', ROOT / 'tools' / 'export.py')
tool = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tool)


def largest(name, form, size):
    torch.manual_seed(0)
    model = tool.Export(tiny(name, 1 if is_column(name) else 2)).eval()  # blocks of a column are alike
    with torch.no_grad():
        _, exported = tool.export(model, torch.randn(1, 3, *size), SimpleNamespace(format=form, dynamic=False))
        return tool.difference(model, exported, torch.randn(1, 3, *size))


SIZES = dict(onnx=(70, 101), torch=(64, 96))
SHORT = {'mvit_v2', 'ps_vit', 'pvt_v2', 'sg_former', 'swin', 't2t_vit', 'vit'}
"""Families of each kind, whose ONNX files are in make test; all of them in both forms take their time."""
FORMS = [pytest.param(name, form, marks=[] if family in SHORT and form == 'onnx' else [pytest.mark.long])
         for family, name in SMALLEST.items() for form in SIZES]


@pytest.mark.parametrize('name, form', FORMS)
def test_every_family(name, form):
    # T2T-ViT and ViTAE take exponentials of squares; SG-Former sorts tokens that random weights hardly tell apart; ResT
    # divides differences of attention weights by their deviation
    bound = .1 if name.startswith(('t2t', 'sg_', 'rest/', 'vitae/')) else 1e-4
    assert largest(name, form, SIZES[form]) < bound


def main(monkeypatch, *arguments):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, 'argv', ['export.py', *map(str, arguments)])
    tool.main()


@pytest.mark.parametrize('model', ['configs/upernet_cswin_demo_shapes.py', 'configs/maskrcnn_cswin_demo_shapes.py'])
def test_whole_models(model, monkeypatch, tmp_path, capsys):
    main(monkeypatch, model, '--size', '64x64', '--out', tmp_path / 'x.pt2', '--format', 'torch')
    assert 'differs from the model by' in capsys.readouterr().out
    outputs = torch.export.load(tmp_path / 'x.pt2').module()(torch.randn(1, 3, 64, 64))
    if 'upernet' in model:
        assert [tuple(output.shape[:2]) for output in outputs] == [(1, 7)]
    else:
        assert len(outputs) == 3 * 5, 'five levels of the neck, and the scores and boxes of the RPN for each'


def test_a_backbone_of_openmmlabs(monkeypatch, tmp_path):
    main(monkeypatch, 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py', '--backbone-only', '--size', '32x32',
         '--format', 'torch', '--out', tmp_path / 'x.pt2')
    assert (tmp_path / 'x.pt2').exists()


@pytest.mark.long
def test_dynamic(monkeypatch, tmp_path):
    import onnxruntime
    main(monkeypatch, 'pvt_v2/b0', '--size', '64x96', '--dynamic', '--out', tmp_path / 'x.onnx')
    session = onnxruntime.InferenceSession(str(tmp_path / 'x.onnx'), providers=['CPUExecutionProvider'])
    assert session.run(None, {'images': torch.zeros(1, 3, 128, 32).numpy()})[0].shape == (1, 32, 32, 8)
    assert [path.name for path in tmp_path.iterdir()] == ['x.onnx']


@pytest.mark.parametrize('arguments, message', [
    (['pvt/tinny', '--size', '64x64'], "no backbone 'pvt/tinny': .* Did you mean pvt/tiny"),
    (['configs/dino_swin_t_coco.py', '--size', '64x64'], '--backbone-only'),
    (['mmdet::soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py', '--backbone-only',
      '--size', '64x64'],
     'has no backbone of its own'),
])
def test_says_what_is_wrong(arguments, message, monkeypatch, tmp_path):
    with pytest.raises(tool.UsageError, match=message):
        main(monkeypatch, *arguments, '--out', tmp_path / 'x')
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_file_is_not_written(monkeypatch, tmp_path):
    monkeypatch.setattr(tool, 'export', lambda model, image, args: (b'x', lambda image: [2 * x for x in model(image)]))
    with pytest.raises(tool.UsageError, match='Nothing was written: output 0 differs'):
        main(monkeypatch, 'pvt_v2/b0', '--size', '64x64', '--out', tmp_path / 'x')
    assert list(tmp_path.iterdir()) == []
