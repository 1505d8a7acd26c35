"""What `make test-gpu` asks of a GPU besides the tests that have the fixture `device`. On CPUs, one family tests these tests."""
import copy
import sys
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from conftest import SMALLEST, call, hide, tiny
from test_contract import close, image
from torch.overrides import TorchFunctionMode
from torch.torch_version import TorchVersion
from torch.utils._python_dispatch import TorchDispatchMode


@pytest.fixture(
    params=[('cpu', 'pvt_v2'), *(pytest.param(('cuda', family), marks=pytest.mark.gpu) for family in sorted(SMALLEST))], ids='-'.join)
def place(request):
    """A device, and the name of a backbone to try there."""
    device, family = request.param
    return device, SMALLEST[family]


class Calls(TorchFunctionMode):
    """Counts calls of scaled_dot_product_attention."""
    count = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.count += func is F.scaled_dot_product_attention
        return func(*args, **(kwargs or {}))


class Kernels(TorchDispatchMode):
    """Counts the fused kernels of attention; what is computed step by step leaves none."""

    def __init__(self):
        super().__init__()
        self.found = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name.startswith('_scaled_dot_product_') and not name.endswith('_backward'):
            self.found[name[len('_scaled_dot_product_'):]] += 1
        return func(*args, **(kwargs or {}))


UNFUSED = 'cait/', 'deepvit/', 'dwnet/', 'fcvit/'
"""Families that mix maps of attention, which no fused kernel does, in all blocks of tiny models, or have none."""


@pytest.mark.parametrize('mode', ['infer', 'train'])
def test_attention_is_fused(device, smallest, mode):
    model = tiny(smallest).to(device).train(mode == 'train')
    for dtype in (torch.float32, torch.float16, torch.bfloat16)[:1 if device == 'cpu' else None]:
        with torch.set_grad_enabled(mode == 'train'), torch.autocast(device, dtype, enabled=dtype != torch.float32):
            with Calls() as calls, Kernels() as kernels:
                model(image(device=device))
        print(f'{smallest}, {mode}, {dtype}: attention by {dict(kernels.found) or "no call of PyTorch"}')
        assert sum(kernels.found.values()) == calls.count, f'{dtype}: {calls.count} calls, fused: {kernels.found}'
        assert calls.count > 0 or mode == 'train' and device == 'cpu' or smallest.startswith(UNFUSED), 'no attention'


def test_results_and_gradients_are_those_of_a_cpu(place):
    device, name = place
    plain = tiny(name).double()  # float64: SG-Former sorts tokens by nearly equal numbers
    other = copy.deepcopy(plain).to(device)
    size = (70, 101)
    expected, outs = plain(image(*size).double()), other(image(*size, device=device).double())
    assert close(expected, [out.cpu() for out in outs], 1e-9)
    for levels in (expected, outs):
        sum(level.square().mean() for level in levels).backward()
    for (key, p), q in zip(plain.named_parameters(), other.parameters()):
        if p.grad is not None:
            assert torch.allclose(p.grad, q.grad.cpu(), rtol=1e-6, atol=1e-9 * p.grad.abs().max().item()), key


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_training_in_half_precision(place, dtype):
    """Losses stay finite and fall. bfloat16 needs no scaling of losses."""
    device, name = place
    if device == 'cpu' and torch.__version__ < TorchVersion('2.4'):
        pytest.skip('PyTorch 2.1 has no autocast to float16 on CPUs')
    model = tiny(name, drop_path_rate=.1).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scaled = dict(enabled=dtype == torch.float16)
    scaler = torch.amp.GradScaler(device, **scaled) if hasattr(torch.amp, 'GradScaler') else torch.cuda.amp.GradScaler(**scaled)
    images, losses = image(*((64, 64) if device == 'cpu' else (128, 192)), batch=2, device=device), []
    for _ in range(6):
        with torch.autocast(device, dtype):
            loss = sum((out.float() - 1).square().mean() for out in model(images))
        losses.append(loss.item())
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
    assert torch.tensor(losses).isfinite().all() and losses[-1] < losses[0], losses
    assert all(value.isfinite().all() for value in model.state_dict().values())


def bytes_of_training(model, images):
    """What the forward pass of a training step keeps; on a GPU, the most that the step takes."""
    saved = []
    torch.cuda.reset_peak_memory_stats() if images.is_cuda else None
    before = torch.cuda.memory_allocated() if images.is_cuda else 0
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel() * t.element_size()) or t, lambda t: t):
        loss = sum(out.float().mean() for out in model(images))
    loss.backward()
    return torch.cuda.max_memory_allocated() - before if images.is_cuda else sum(saved)


def test_memory_of_an_image(place):
    """Another image takes less with activation checkpointing."""
    device, name = place
    found = []
    for with_cp in (False, True):
        model = tiny(name, with_cp=with_cp).to(device).train()
        one, two = (bytes_of_training(model, image(128, 192, batch=batch, device=device)) for batch in (1, 2))
        found.append(two - one)
    print(f'{name}, two blocks a stage, 128x192: {found[0] / 2**20:.1f} MiB an image, with_cp {found[1] / 2**20:.1f}')
    assert 0 < found[1] < found[0]


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is one')
def test_without_a_gpu_nothing_passes(tmp_path):
    """Nor is more than PyTorch, mmengine and pytest needed to get so far."""
    hide(tmp_path, 'mmcv', 'mmdet', 'mmpretrain', 'mmseg', 'onnx', 'onnxruntime', 'onnxscript', 'pycocotools', 'safetensors',
         'timm', 'torchvision')
    out = call(sys.executable, '-m', 'pytest', '-m', 'gpu', status=2, PYTHONPATH=str(tmp_path))
    assert 'finds no GPU here: nothing was tested' in out and 'passed' not in out and 'ERROR' not in out
