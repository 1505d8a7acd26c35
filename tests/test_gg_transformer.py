"""The properties that define GG-Transformer, whose authors left no code to compare with."""
import pytest
import torch
from conftest import build

from mmvit_backbones.backbones.gg_transformer import GGStage, GlanceGazeAttention
from mmvit_backbones.engine import count_macs
from mmvit_backbones.layers import Mlp, PreNormBlock, group_tokens

SIZES = ((56, 56), (200, 336), (51, 67), (8, 16), (5, 3))


def attention(kernel=9, heads=2):
    torch.manual_seed(0)
    return GlanceGazeAttention(8 * heads, heads, kernel, position_bias=True, mask_padding=True)


def forward(attn, x):
    return attn(x, group_tokens(x.shape[:3], (7, 7), True, x.device))


def seen(module, size, at):
    """(H, W), the tokens that what the module says of one token depends on."""
    x = torch.randn(1, *size, 16, requires_grad=True)
    module(x)[0, at[0], at[1]].square().sum().backward()
    return x.grad[0].abs().amax(-1) > 0


def dilations(size):
    return [-(-side // 7) for side in size]


def window_of(size, at):
    """(H, W), the tokens in the dilated window of a token, by the paper's definition."""
    rows, columns = (torch.arange(side) % rate == place % rate for side, rate, place in zip(size, dilations(size), at))
    return rows[:, None] & columns


def neighbourhood(size, at, kernel):
    rows, columns = ((torch.arange(side) - place).abs() <= kernel // 2 for side, place in zip(size, at))
    return rows[:, None] & columns


@pytest.mark.parametrize('size', SIZES)
def test_glance_spans_the_map_whatever_its_size(size):
    attn = attention()
    torch.nn.init.zeros_(attn.gaze.weight)
    at = size[0] // 2, size[1] // 3
    found = seen(lambda x: forward(attn, x), size, at)
    assert torch.equal(found, window_of(size, at))
    for side, rate, places in zip(size, dilations(size), (found.any(1), found.any(0))):
        places = places.nonzero()[:, 0]
        assert places[0] < rate and places[-1] >= side - rate and len(places) <= 7


@pytest.mark.parametrize('kernel', (3, 9))
def test_gaze_adds_the_neighbourhood(kernel):
    size, at = (56, 56), (20, 30)
    found = seen(lambda x: forward(attention(kernel), x), size, at)
    assert torch.equal(found, window_of(size, at) | neighbourhood(size, at, kernel))
    assert not window_of(size, at)[20, 31] and found[20, 31]


@pytest.mark.parametrize('side, kernel, everything', ((56, 9, True), (28, 5, True), (14, 3, True), (7, 3, True), (56, 3, False)))
def test_two_blocks_see_everything_where_the_kernel_bridges_the_dilation(side, kernel, everything):
    torch.manual_seed(0)
    blocks = [PreNormBlock(16, attention(kernel), Mlp(16, 32)) for _ in range(2)]
    stage = GGStage(blocks, None, False, mask_padding=True)
    assert seen(stage, (side, side), (side // 2, side // 3)).all() == everything


@pytest.mark.parametrize('size', ((14, 21), (16, 9), (5, 30)))
def test_attention_is_the_papers_formula(size):
    H, W = size
    attn = attention(kernel=5)
    torch.nn.init.normal_(attn.position.relative_position_bias_table)
    x = torch.randn(2, H, W, 16)
    qkv = attn.qkv(x)
    q, k, v = qkv.flatten(1, 2).unflatten(-1, (3, 2, 8)).permute(2, 0, 3, 1, 4)
    y, x_ = torch.meshgrid(torch.arange(H), torch.arange(W), indexing='ij')
    y, x_, (rate_y, rate_x) = y.flatten(), x_.flatten(), dilations(size)
    together = (y[:, None] % rate_y == y % rate_y) & (x_[:, None] % rate_x == x_ % rate_x)
    offsets = [place[:, None] // rate - place // rate + 6 for place, rate in ((y, rate_y), (x_, rate_x))]
    bias = attn.position.relative_position_bias_table[(offsets[0] * 13 + offsets[1]).clamp(0, 168)].permute(2, 0, 1)
    logits = (q @ k.transpose(-1, -2) * 8**-.5 + bias).masked_fill(~together, -torch.inf)
    glance = (logits.softmax(-1) @ v).transpose(1, 2).reshape(2, H, W, 16)
    gaze = attn.gaze(qkv[..., 32:].permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    torch.testing.assert_close(forward(attn, x), attn.proj(glance + gaze), rtol=1e-4, atol=1e-5)


def test_padding_takes_part_only_where_that_is_asked_for():
    models = [build('gg_transformer/gg_tiny', mask_padding=mask, out_indices=(0, )) for mask in (True, False)]
    models[1].load_state_dict(models[0].state_dict())
    with torch.no_grad():
        for side, equal in ((56, True), (60, False)):
            image = torch.randn(1, 3, side, side)
            a, b = (model(image)[0] for model in models)
            assert a.shape == b.shape and torch.allclose(a, b, atol=1e-5) == equal


@pytest.mark.parametrize('variant, params, gmacs', (('gg_tiny', 28, 4.5), ('gg_small', 50, 8.7)))
def test_size_and_cost_are_those_published_and_the_cost_grows_with_the_area(variant, params, gmacs):
    with torch.device('meta'):
        model = build(f'gg_transformer/{variant}', out_norm=False)
        macs = {side: count_macs(lambda: model(torch.empty(1, 3, side, side))).all for side in (224, 448, 896)}
    classifier = 2 * 768 + 768 * 1000 + 1000
    assert round((sum(p.numel() for p in model.parameters()) + classifier) / 1e6) == params
    # the papers' figures are Swin's, that is without the gaze convolutions, 0.07 G
    assert macs[224] / 1e9 == pytest.approx(gmacs, rel=.015)
    assert macs[448] == 4 * macs[224] and macs[896] == 16 * macs[224]
