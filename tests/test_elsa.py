"""What ELSA has of its own."""
import pytest
import torch
from conftest import DATA, build, read_record, records
from torch import nn

from mmvit_backbones.backbones import ELSASwin
from mmvit_backbones.backbones.elsa import EnhancedLocalAttention, KeyOffsetBias


@pytest.mark.parametrize('name', [name for name, _ in records('elsa')])
def test_sizes(name):
    record = read_record(DATA / f'{name}.json')
    with torch.device('meta'):
        model = build(name)
    assert sum(p.numel() for p in model.parameters()) == record['dense_params']
    widths = dict(tiny=(64, 128, 256), small=(64, 128, 256), base=(88, 176, 344))[record['variant']]
    assert tuple(stage.blocks[0].attn.splits[0] for stage in model.stages[:3]) == widths
    assert all(module.eps == 1e-5 for module in model.modules() if isinstance(module, nn.LayerNorm))


def test_training():
    """Ghost heads and position tables are small and random, and decay, for the authors' list misses their names."""
    model = build('elsa/tiny')
    model.init_weights()
    own = {name: p for name, p in model.named_parameters() if name.endswith(('.ghost_head', '.rb'))}
    assert len(own) == 10 + 2 and all(.015 < p.std() < .025 for p in own.values())
    assert model.no_weight_decay() == set()


@torch.no_grad()
def test_local_attention():
    """At one position and one border, as the paper writes it: softmax over all taps, zeros beyond the map."""
    torch.manual_seed(0)
    attn = EnhancedLocalAttention(48, 2, group_width=8).double()
    x = torch.randn(1, 9, 8, 48, dtype=torch.double)
    q, k, v = attn.pre_proj(x.permute(0, 3, 1, 2)).split((32, 32, 48), 1)
    weights = attn.attn(q * k).view(2, 49, 9, 8).softmax(1)
    assert attn.splits == (32, 32, 48)
    out = attn(x)
    for y, column in ((4, 4), (0, 7)):
        total = 0
        for tap in range(49):
            row, col = y + tap // 7 - 3, column + tap % 7 - 3
            if 0 <= row < 9 and 0 <= col < 8:
                dynamic = weights[:, tap, y, column].repeat_interleave(24)
                total = total + (dynamic + attn.ghost_head[0, :, tap // 7, tap % 7]) * v[0, :, row, col]
        torch.testing.assert_close(out[0, y, column], attn.post_proj(total))


@torch.no_grad()
def test_the_bias_goes_from_query_to_key():
    bias = KeyOffsetBias((7, 7), 2)
    out = bias().view(2, 7, 7, 7, 7)
    for (y, x), (v, u) in (((0, 0), (6, 6)), ((3, 2), (1, 5)), ((6, 0), (0, 6))):
        assert torch.equal(out[:, y, x, v, u], bias.rb[:, (v - y + 6) * 13 + u - x + 6])


def test_the_classifier_does_not_shift_a_single_window():
    """Dense models always shift the second block of the last stage; with more than one window both do."""
    small = dict(dims=(32, 64, 96, 128), depths=(1, 1, 1, 2), num_heads=(1, 2, 3, 4), group_width=4, mlp_ratio=4)
    last = [ELSASwin(small, out_type=kind).stages[3] for kind in ('featmap', 'pooled')]
    for side, shifted in ((7, (True, False)), (8, (True, True))):
        contexts = [stage.context(torch.zeros(1, side, side, 128)) for stage in last]
        assert tuple(bool(masks.any()) for _, (_, masks) in contexts) == shifted
