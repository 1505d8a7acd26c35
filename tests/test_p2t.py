"""P2T's pyramids: their sizes, and how they are pooled."""
import pytest
import torch
import torch.nn.functional as F
from conftest import build, tiny
from torch import nn

from mmvit_backbones.backbones.p2t import PyramidAttention, PyramidStage, averages, pooled_side


def pyramid(size, dtype=torch.float32):
    """Attention with ratios 3, 4, 5 and 6, its stage, and a map."""
    torch.manual_seed(0)
    stage = PyramidStage([PyramidAttention(16, 2)], None, False, 16, (3, 4, 5, 6))
    return stage.to(dtype), torch.randn(2, *size, 16, dtype=dtype)


@pytest.mark.parametrize('side, ratio, expected', [
    (100, 8, 12), (56, 16, 4), (30, 12, 2), (42, 12, 4), (31, 12, 3), (7, 2, 4), (5, 2, 2), (2, 4, 1), (1, 4, 1), (1, 24, 1)
])
def test_halves_are_rounded_to_even_numbers(side, ratio, expected):
    assert pooled_side(side, ratio) == expected


@pytest.mark.parametrize('side', [1, 2, 7, 13, 50])
def test_averages_are_those_of_adaptive_pooling(side):
    x = torch.randn(1, 3, side, dtype=torch.double)
    for parts in range(1, side + 1):
        expected = F.adaptive_avg_pool1d(x, parts)
        torch.testing.assert_close((averages(side, parts, x) @ x.mT).mT, expected)


@torch.no_grad()
@pytest.mark.parametrize('size', [(14, 14), (25, 42), (2, 9), (1, 1)])
def test_pyramid_is_the_authors(size):
    stage, x = pyramid(size)
    module, = stage.blocks
    levels = []
    for ratio, conv in zip(stage.ratios, stage.d_convs):
        pooled = F.adaptive_avg_pool2d(x.permute(0, 3, 1, 2), [max(round(side / ratio), 1) for side in size])
        levels.append((pooled + conv(pooled)).flatten(2).mT)
    tokens = F.layer_norm(torch.cat(levels, 1), (16, ), module.norm.weight, module.norm.bias, 1e-5)
    torch.testing.assert_close(module.reduce(x, *stage.context(x)[0]).squeeze(1), tokens, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_halves_average_as_precisely_as_floats():
    stage, x = pyramid((40, 60), torch.bfloat16)
    rows, columns, _ = stage.context(x)[0]
    assert {matrix.dtype for matrix in (*rows, *columns)} == {torch.float32}
    module, = stage.blocks
    expected = module.float().reduce(x.float(), rows, columns, stage.d_convs.float())
    out = module.bfloat16().reduce(x, rows, columns, stage.d_convs.bfloat16())
    assert out.dtype == torch.bfloat16 and (out - expected).abs().max() < .03 * expected.abs().max()


def test_eps():
    eps = {name.split('.', 2)[-1].lstrip('0123456789.'): module.eps for name, module in tiny('p2t/tiny').named_modules()
           if isinstance(module, nn.LayerNorm)}
    inner = {name.split('.', 2)[-1]: value for name, value in eps.items() if name.startswith('blocks.')}
    assert inner == {'norm1': 1e-6, 'norm2': 1e-6, 'attn.norm': 1e-5}
    assert {value for name, value in eps.items() if not name.startswith('blocks.')} == {1e-5}


def test_convolutions_are_the_stages():
    """The blocks of a stage share them; they are a part of it, and work at the depth of its first block."""
    model = build('p2t/tiny', frozen_stages=1)
    names = [name for name, _ in model.named_parameters() if '.d_convs.' in name]
    assert len(names) == 4 * 4 * 2
    assert [model.layer_depth(f'stages.{i}.d_convs.3.weight') for i in range(4)] == [1, 3, 5, 11]
    assert [model.stages[i].d_convs[0].weight.requires_grad for i in range(2)] == [False, True]
