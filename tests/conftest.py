"""What the tests share: the families, and the authors' records of them."""
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS
from parity import fill

from mmvit_backbones import list_backbones
from mmvit_backbones.backbones.column import ColumnarBackbone
from mmvit_backbones.backbones.t2t_vit import sinusoid

torch.set_num_threads(max(1, torch.get_num_threads() // int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', 1))))
DATA = Path(__file__).parent / 'data'
ROOT = Path(__file__).parents[1]
SMALLEST = {}
for _name in list_backbones():
    SMALLEST.setdefault(_name.split('/')[0], _name)
"""{family: name of its first, smallest variant}"""


def config(name):
    """The dict of `list_backbones` for a variant, or for the record of one that was trained on ImageNet-22k."""
    known = list_backbones()
    return known[name if name in known else name.removesuffix('_22k')]


def build(name, **options):
    """A backbone of `list_backbones`, in eval mode."""
    return MODELS.build({**config(name), **options}).eval()


def backbone_class(name):
    return MODELS.get(config(name)['type'])


def is_column(name):
    """Whether it is columnar; records of columns hold places inside the network, which test_columns.py compares."""
    return issubclass(backbone_class(name), ColumnarBackbone)


def records(family=None):
    """[(name, path)] of the authors' records that tests/data holds."""
    paths = sorted(path for path in DATA.glob(f'{family or "*"}/*.json') if path.stem != 'logits')
    return [(f'{path.parent.name}/{path.stem}', path) for path in paths]


def read_record(path):
    return json.loads(Path(path).read_text())


def authors_state(record, case=None):
    """The authors' state dict with the weights of a recorded case, classifier included.

    Of constant buffers, positions are the sinusoids of T2T-ViT's, and others, which nobody loads, hold zeros. Norms of the
    dense model that a case's ``out_indices`` do without are left out.
    """
    case = case or {}
    scales = {**case.get('fill_scale', record.get('fill_scale', {})), **case.get('scale', {})}
    state = {}
    absent = {f'norm{i + 1}' for i in range(4) if i not in case.get('out_indices', range(4))}
    for key, shape in {**record['state'], **record.get('dense_state', {})}.items():
        if key.split('.')[0] in absent:
            continue
        if key in record.get('computed', ()):
            state[key] = sinusoid(*shape[1:]) if key == 'pos_embed' else torch.zeros(shape)
            continue
        factor = next((value for end, value in scales.items() if key.endswith(end)), 1)
        state[key] = torch.from_numpy(fill(key, shape)).view(shape) * factor
    return state


def pytest_collection_finish(session):
    """Tests that need a GPU, asked for where there is none, are no success."""
    if session.config.option.markexpr == 'gpu' and not torch.cuda.is_available():
        pytest.exit(f'PyTorch {torch.__version__} finds no GPU here: nothing was tested', returncode=2)


def pytest_runtest_setup(item):
    """Other choices, such as -m long, leave out what needs a GPU where there is none."""
    if item.get_closest_marker('gpu') and not torch.cuda.is_available():
        pytest.skip('needs a GPU')


@pytest.fixture(params=['cpu', pytest.param('cuda', marks=pytest.mark.gpu)])
def device(request, monkeypatch):
    """The CPU, and, where -m gpu asks for it, the GPU, with all digits of float32."""
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    return request.param


@pytest.fixture(params=sorted(SMALLEST))
def family(request):
    """Every family in turn."""
    return request.param


@pytest.fixture
def smallest(family):
    """The smallest variant of every family in turn."""
    return SMALLEST[family]


def tiny(name, most=2, **options):
    """A backbone with the smallest variant's settings, but at most so many blocks a stage: small enough to train.

    One where levels are branches, whose blocks hold two of each.
    """
    cls = backbone_class(name)
    row = cls.archs[name.split('/')[1]]
    most = 1 if cls.parallel else most
    return build(name, arch=dict(row, depths=tuple(min(depth, most) for depth in row['depths'])), **options)


def hide(folder, *packages):
    """Python finds none of the packages where PYTHONPATH names the folder."""
    (folder / 'sitecustomize.py').write_text(f"""if True:
        import sys
        class Hidden:
            def find_spec(self, name, path=None, target=None):
                if name.split('.')[0] in {packages}:
                    raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
        sys.meta_path.insert(0, Hidden())""")


def words(command):
    command = [str(part) for part in command]
    return [sys.executable, f'tools/{command[0]}', *command[1:]] if command[0].endswith('.py') else command


def call_and_kill(file, *command):
    """Runs a tool from the repository and kills it once it has written a file; returns what it printed."""
    with tempfile.TemporaryFile('w+') as log:
        process = subprocess.Popen(words(command), cwd=ROOT, stdout=log, stderr=log)
        try:
            deadline = time.time() + 200
            while not file.exists() and time.time() < deadline and process.poll() is None:
                time.sleep(.1)
        finally:
            process.kill()
            process.wait()
        log.seek(0)
        return log.read()


def call(*command, status=0, **environment):
    """Runs a tool, or another program, from the repository; returns what it printed."""
    command = words(command)
    result = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
        env=dict(os.environ, **environment))
    assert result.returncode == status, result.stdout[-4000:]
    return result.stdout
