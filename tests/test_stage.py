"""Batch norms in blocks that are recomputed."""
import copy

import pytest
import torch
from torch import nn
from torch.torch_version import TorchVersion

from mmvit_backbones.backbones.base import Stage


class Block(nn.Module):
    """Normalises, as the blocks of several families do; refuses maps of a wrong height after its first norm."""

    def __init__(self, momentum=.1):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(4, momentum=momentum)
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(4, momentum=momentum)

    def forward(self, x, height):
        x = self.norm1(x)
        if x.shape[2] != height:
            raise ValueError('height')
        return self.norm2(self.conv(x).relu())


class Blocks(Stage):

    def context(self, x):
        return [(6, )]


@pytest.fixture
def stages():
    """The same stage with and without recomputation, and a map."""
    torch.manual_seed(0)
    plain = Blocks([Block(), Block(momentum=.3)])
    saving = copy.deepcopy(plain)
    saving.with_cp = True
    return plain, saving, torch.randn(2, 4, 6, 5)


def same(plain, saving):
    return all(torch.equal(a, b) for a, b in zip(plain.state_dict().values(), saving.state_dict().values())) and all(
        torch.equal(p.grad, q.grad) for p, q in zip(plain.parameters(), saving.parameters()) if p.requires_grad)


COMPILED = pytest.mark.skipif(torch.__version__ < TorchVersion('2.5'), reason='PyTorch 2.1 compiles no functional_call')


@pytest.mark.parametrize(
    'backend', [None, *(pytest.param(name, marks=COMPILED) for name in ('eager', 'aot_eager'))])
def test_recomputation_leaves_statistics_alone(stages, backend):
    plain, saving, x = stages
    torch._dynamo.reset()
    run = saving if backend is None else torch.compile(saving, fullgraph=True, backend=backend)
    for _ in range(2):
        plain(x).square().sum().backward()
        run(x).square().sum().backward()
    assert plain.blocks[0].norm1.num_batches_tracked == 2
    assert same(plain, saving)


@pytest.mark.parametrize('change', ['frozen', 'evaluated', 'average', 'stateless', 'synchronised'])
def test_kinds_of_batch_norms(stages, change):
    plain, saving, x = stages
    for stage in (plain, saving):
        block = stage.blocks[0]
        if change == 'frozen':
            block.requires_grad_(False).eval()
        elif change == 'evaluated':
            block.norm2.eval()
        elif change == 'average':
            block.norm1.momentum = None
        elif change == 'stateless':
            block.norm1 = nn.BatchNorm2d(4, track_running_stats=False)
        elif change == 'synchronised':
            stage.blocks[1] = nn.SyncBatchNorm.convert_sync_batchnorm(stage.blocks[1])
        for _ in range(2):
            stage(x).square().sum().backward()
    assert same(plain, saving)


def test_an_error_in_a_block_leaves_it_as_it_was(stages):
    _, saving, x = stages
    before, buffers = copy.deepcopy(saving.state_dict()), list(saving.buffers())
    with pytest.raises(ValueError, match='height'):
        saving(x[:, :, :5])
    assert all(torch.equal(value, before[key]) for key, value in saving.state_dict().items())
    assert all(a is b for a, b in zip(saving.buffers(), buffers))
