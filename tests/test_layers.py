"""The shared layers against plain formulas."""
import sys

import pytest
import torch
import torch.nn.functional as F
from conftest import call
from torch import nn

from mmvit_backbones.backbones.fcvit import ChannelMixer
from mmvit_backbones.engine.peers import randomise
from mmvit_backbones.layers import (ConvMlp, DecomposedPosition, DepthwiseConv, DropPath, Mlp, NormedConvs, Pointwise,
                                    RelativePositionBias, attention, conv_map, depthwise, drop_path_rates, fold,
                                    merge_windows, mixed_attention, mlp, pad_to_multiple, split_windows, varying_conv)


def test_windows_are_put_back():
    x = torch.randn(2, 6, 10, 3)
    windows = split_windows(x, (3, 5))
    assert windows.shape == (2 * 2 * 2, 3, 5, 3)
    assert torch.equal(windows[1], x[0, :3, 5:])
    assert torch.equal(merge_windows(windows, (6, 10)), x)


@pytest.mark.parametrize('place, top, left', [('end', 0, 0), ('centre', 1, 2)])
def test_padding_places_the_map(place, top, left):
    x = torch.randn(1, 5, 10, 3)
    padded, row, col = pad_to_multiple(x, (4, 7), place)
    assert padded.shape == (1, 8, 14, 3) and (row, col) == (top, left)
    assert torch.equal(padded[:, row:row + 5, col:col + 10], x)
    assert padded.count_nonzero() == x.numel()


def test_nothing_is_copied_where_nothing_is_padded():
    x = torch.randn(1, 4, 7, 3)
    assert pad_to_multiple(x, (2, 7))[0] is x


@pytest.mark.parametrize('learned', [False, True])
@pytest.mark.parametrize('scale', [None, .3])
def test_attention(scale, learned):
    q, k, v = torch.randn(2, 3, 5, 8), torch.randn(2, 3, 7, 8), torch.randn(2, 3, 7, 4)
    bias = torch.randn(3, 5, 7, requires_grad=learned)
    expected = ((scale or 8**-.5) * q @ k.transpose(-1, -2) + bias).softmax(-1) @ v
    out = attention(q, k, v, bias, scale)
    assert out.shape == (2, 5, 12)
    assert torch.allclose(out, expected.transpose(1, 2).reshape(2, 5, 12), atol=1e-5)


def test_relative_position_bias_depends_on_the_offset_alone():
    bias = RelativePositionBias((2, 3), num_heads=4)
    torch.nn.init.normal_(bias.relative_position_bias_table)
    out = bias().view(4, 2, 3, 2, 3)
    seen = {}
    for y, x, v, u in torch.cartesian_prod(*map(torch.arange, (2, 3, 2, 3))).tolist():
        value = out[:, y, x, v, u]
        assert torch.equal(seen.setdefault((y - v, x - u), value), value)
    assert len(seen) == 3 * 5
    assert torch.equal(out[:, 0, 0, 1, 2], bias.relative_position_bias_table[0])  # rows are sorted by key - query, last first


def test_relative_position_bias_of_another_window():
    small, large = RelativePositionBias((7, 7), 2), RelativePositionBias((12, 12), 2)
    table = torch.randn(23 * 23, 2)
    out = small.resize('relative_position_bias_table', table)
    expected = F.interpolate(table.t().reshape(1, 2, 23, 23), (13, 13), mode='bicubic').reshape(2, 169).t()
    assert torch.equal(out, expected)
    assert torch.allclose(large.resize('relative_position_bias_table', table), table, atol=1e-6)


@pytest.mark.parametrize('mixed', [False, True])
@pytest.mark.parametrize('piece', [None, 84])
def test_mixed_attention(monkeypatch, piece, mixed):
    """Results and gradients, whole and two queries at a time, and no map that is kept then."""
    if piece:
        monkeypatch.setitem(mixed_attention.__globals__, 'MAPS', piece)
    torch.manual_seed(0)
    shapes = (2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 4), (3, 3), (3, ), (3, 3)
    q, k, v, after, bias, before = parts = [torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in shapes]
    maps = q @ k.mT * 8**-.5
    maps = torch.einsum('ab,nbqk->naqk', before, maps) if mixed else maps
    maps = torch.einsum('ab,nbqk->naqk', after, maps.softmax(-1)) + bias.view(3, 1, 1)
    expected = (maps @ v).transpose(1, 2).flatten(2)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
        out = mixed_attention(q, k, v, after, bias, before if mixed else None)
    assert (maps.numel() in kept) == (piece is None)
    torch.testing.assert_close(out, expected)
    weight = torch.randn_like(out)
    used = parts if mixed else parts[:-1]
    for a, b in zip(*(torch.autograd.grad((x * weight).sum(), used) for x in (out, expected))):
        torch.testing.assert_close(a, b)


@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_memory_of_mixed_attention_is_linear():
    """Maps of some queries at a time leave no holes that those of the next ones do not fit: all maps are 256 MiB."""
    out = call(sys.executable, '-c', """if True:
        import re, torch
        from pathlib import Path
        from mmvit_backbones.layers import mixed_attention
        def peak():
            return int(re.search('VmHWM: *(\\d+)', Path('/proc/self/status').read_text().replace('\\t', ' '))[1])
        q, weight = torch.randn(1, 4, 4096, 48), torch.eye(4)
        before = peak()
        with torch.no_grad():
            for _ in range(2):
                mixed_attention(q, q, q, weight, torch.zeros(4), weight)
        print('KiB', peak() - before)""")
    assert int(out.split()[-1]) < 128 << 10


@pytest.mark.parametrize('first', [0, 1])
@pytest.mark.parametrize('size, key_size', [((7, 7), (7, 7)), ((6, 10), (3, 3)), ((5, 11), (2, 4)), ((3, 4), (6, 9))])
def test_decomposed_position(size, key_size, first):
    """Against one pair after the other: the row is rounded down, a table of another length interpolated, and a class
    token has no position."""
    torch.manual_seed(0)
    position = DecomposedPosition(7, 8).double()
    for table in position.parameters():
        torch.nn.init.normal_(table)
    q, k = [torch.randn(2, 3, first + h * w, 8, dtype=torch.double) for h, w in (size, key_size)]
    expected = q @ k.mT * 8**-.5
    for axis, table in enumerate((position.rel_pos_h, position.rel_pos_w)):
        Q, K = size[axis], key_size[axis]
        length = 2 * max(Q, K) - 1
        table = F.interpolate(table.t()[None], length, mode='linear')[0].t() if length != 13 else table
        for i in range(size[0] * size[1]):
            for j in range(key_size[0] * key_size[1]):
                y, x = divmod(i, size[1])[axis], divmod(j, key_size[1])[axis]
                row = int(y * max(K / Q, 1) - x * max(Q / K, 1) + (K - 1) * max(Q / K, 1))
                expected[:, :, first + i, first + j] += q[:, :, first + i] @ table[row]
    wide_q, wide_k = position(q, k, size, key_size)
    torch.testing.assert_close(wide_q @ wide_k.mT, expected)
    assert wide_q.shape[-1] % 8 == 0


def test_drop_path_drops_samples_and_keeps_the_mean():
    torch.manual_seed(0)
    x = torch.ones(4000, 2, 3)
    out = DropPath(.25).train()(x)
    kept = out[:, 0, 0] != 0
    assert torch.equal(out, torch.where(kept[:, None, None], 1 / .75, 0.).expand_as(out))
    assert abs(out.mean() - 1) < .05
    assert DropPath(.25).eval()(x) is x


def test_drop_path_rates():
    assert drop_path_rates(.3, (1, 2, 1)) == [[0.], [pytest.approx(.1), pytest.approx(.2)], [pytest.approx(.3)]]
    assert drop_path_rates(.3, (1, )) == [[0.]]


@pytest.mark.parametrize('kernel_size, size', [(5, (9, 4)), (7, (3, 5)), (11, (6, 8)), (11, (1, 1))])
def test_gradients_of_a_depthwise_convolution(kernel_size, size):
    torch.manual_seed(0)
    conv = DepthwiseConv(2, kernel_size).double()
    x = torch.randn(2, 2, *size, dtype=torch.double, requires_grad=True)
    parameters = x, conv.weight, conv.bias
    with torch.no_grad():
        recorded = torch.nn.Conv2d.forward(conv, x)
    assert torch.equal(conv(x), recorded) and conv(x).grad_fn.name() == '_DepthwiseConvBackward'
    run = lambda x, weight, bias: torch.func.functional_call(conv, dict(weight=weight, bias=bias), x)
    assert torch.autograd.gradcheck(run, parameters)
    assert torch.autograd.gradgradcheck(run, parameters)


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
def test_digits_of_the_weight_gradient(memory_format):
    torch.manual_seed(0)
    conv = DepthwiseConv(16, 7)
    x, grad = [torch.randn(2, 16, 80, 99).to(memory_format=memory_format) for _ in range(2)]
    conv(x).backward(grad)
    expected = torch.nn.grad.conv2d_weight(x.double(), conv.weight.shape, grad.double(), padding=3, groups=16)
    assert (conv.weight.grad - expected).abs().max() < 3e-5 * expected.std()


def test_depthwise_convolution_under_autocast():
    torch.manual_seed(0)
    conv, x = DepthwiseConv(4, 7), torch.randn(1, 4, 12, 12, requires_grad=True)
    with torch.autocast('cpu', torch.bfloat16):
        out = conv(x)
    out.float().square().sum().backward()
    half = [value.grad for value in (x, conv.weight, conv.bias)]
    x.grad = None
    conv.zero_grad()
    conv(x).square().sum().backward()
    for a, value in zip(half, (x, conv.weight, conv.bias)):
        assert out.dtype == torch.bfloat16 and a.dtype == torch.float32
        assert (a - value.grad).abs().max() < .02 * value.grad.abs().max()


@pytest.mark.parametrize('side, size', [(3, (5, 4)), (5, (2, 6)), (7, (1, 3))])
def test_kernels_that_vary(side, size, monkeypatch):
    """Against the neighbourhoods copied out: in one go, by rows, and as compilers get it; axes may have kernels in common."""
    torch.manual_seed(0)
    x = torch.randn(2, *size, 2, 3, dtype=torch.double, requires_grad=True)
    for groups in ((2, 1), (1, 3), (1, 1)):
        kernels = torch.randn(side**2, 2, *size, *groups, dtype=torch.double, requires_grad=True)
        patches = F.unfold(x.flatten(3).permute(0, 3, 1, 2), side, padding=side // 2).view(2, 2, 3, side**2, *size)
        expected = torch.einsum('bcdthw,tbhwcd->bhwcd', patches, kernels.expand(-1, -1, -1, -1, 2, 3))
        out = varying_conv(x, kernels)
        torch.testing.assert_close(out, expected)
        assert out.grad_fn.name() == '_VaryingConvBackward'
        weight = torch.randn_like(out)
        grads = [torch.autograd.grad((y * weight).sum(), (x, kernels)) for y in (out, expected)]
        torch.testing.assert_close(*grads)
        with torch.no_grad(), monkeypatch.context() as patch:
            torch.testing.assert_close(varying_conv(x, kernels), expected)
            patch.setattr(depthwise, 'PIECE', 1)
            torch.testing.assert_close(varying_conv(x, kernels), expected)
            patch.setattr(depthwise, 'is_compiling', lambda: True)
            torch.testing.assert_close(varying_conv(x, kernels), expected)


def test_kernels_that_vary_in_half_precision():
    torch.manual_seed(0)
    x, kernels = torch.randn(1, 6, 5, 4), torch.rand(49, 1, 6, 5, 1).softmax(0)
    half = [value.bfloat16().requires_grad_() for value in (x, kernels)]
    out = varying_conv(*half)
    out.float().square().sum().backward()
    full = [value.detach().float().requires_grad_() for value in half]
    varying_conv(*full).square().sum().backward()
    for a, b in zip(half, full):
        assert out.dtype == a.grad.dtype == torch.bfloat16
        assert (a.grad - b.grad).abs().max() < .02 * b.grad.abs().max()


@pytest.mark.parametrize('shape', [(1, 19, 23), (2, 40, 7), (3, 5, 5)])
@pytest.mark.parametrize('build', [
    lambda: Mlp(8, 32),
    lambda: ConvMlp(8, 32),
    lambda: ConvMlp(8, 32, conv_act=nn.ReLU(inplace=True)),
    lambda: ChannelMixer(8, 32),
], ids=['Mlp', 'ConvMlp', 'linear', 'FCViT'])
def test_pieces_make_the_same_map(build, shape, monkeypatch):
    """Without gradients, CPUs run through a map piece by piece; borders and neighbours are as in one go."""
    part, x = build(), torch.randn(*shape, 8)
    whole = part(x)
    calls = []
    part.fc1.register_forward_hook(lambda *args: calls.append(1))
    monkeypatch.setattr(mlp, 'PIECE', 32 * 3 * shape[2])
    with torch.no_grad():
        assert torch.allclose(part(x), whole, rtol=1e-5, atol=1e-6)
    assert len(calls) > 1
    calls.clear()
    part(x)
    assert len(calls) == 1, 'with gradients in one go'


@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('options', [
    dict(kernel_size=3, stride=2, padding=1),
    dict(kernel_size=3, dilation=2, padding=2, groups=3, bias=False),
])
def test_a_batch_norm_joins_its_convolution(options, training):
    conv, norm = nn.Conv2d(6, 9, **options), randomise(nn.BatchNorm2d(9))
    convs = NormedConvs(conv, norm, nn.ReLU(), nn.Conv2d(9, 4, 1)).double().train(training)
    x = torch.randn(2, 6, 7, 8).double()
    expected = nn.Sequential(*convs)(x)
    norm.register_forward_hook(lambda *_: seen.append(True))
    seen = []
    assert torch.allclose(convs(x), expected, rtol=1e-12, atol=1e-12)
    assert bool(seen) == training  # with statistics of its own batch it can not be part of a convolution


@pytest.mark.parametrize('training', [False, True])
def test_a_batch_norm_joins_its_linear_map(training):
    conv, norm = Pointwise(6, 9).double(), randomise(nn.BatchNorm2d(9)).double().train(training)
    x = torch.randn(2, 5, 4, 6).double()
    assert torch.allclose(conv(x, norm), conv_map(norm, conv(x)), rtol=1e-12, atol=1e-12)


def test_half_precision_joins_in_float32():
    """Eight bits for each factor would be three roundings; one is what the weight itself has."""
    conv, norm = nn.Conv2d(6, 9, 1, bias=False), randomise(nn.BatchNorm2d(9))
    conv, norm = conv.bfloat16(), norm.bfloat16()
    weight, bias = fold(conv, norm)
    assert weight.dtype == bias.dtype == torch.bfloat16
    exact, _ = fold(conv.double(), norm.double())
    assert ((weight - exact).abs() <= exact.abs() * 2**-8).all()
