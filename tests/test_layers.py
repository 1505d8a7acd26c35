"""The shared layers against plain formulas."""
import pytest
import torch
import torch.nn.functional as F

from mmvit_backbones.layers import (DropPath, RelativePositionBias, attention, drop_path_rates, merge_windows,
                                    pad_to_multiple, split_windows)


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
