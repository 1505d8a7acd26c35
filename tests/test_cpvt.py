"""CPVT, whose authors left no code to compare with: the formulas of the paper, and what they are for."""
import pytest
import torch
import torch.nn.functional as F
from conftest import build, tiny

HEADS = 3


def formulas(state, x, depth, taps):
    """The published formulas in their plain form, on weights by the authors' names.

    Returns:
        The maps behind the blocks ``taps``, (B, C, h, w), and what the classifier's head reads, (B, C).
    """

    def linear(x, name):
        return F.linear(x, state[f'{name}.weight'], state[f'{name}.bias'])

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], state[f'{name}.weight'], state[f'{name}.bias'], 1e-6)

    x = F.pad(x, (0, -x.shape[3] % 16, 0, -x.shape[2] % 16))
    x = F.conv2d(x, state['patch_embed.proj.weight'], state['patch_embed.proj.bias'], stride=16)
    H, W = x.shape[2:]
    x = x.flatten(2).transpose(1, 2)
    B, N, C = x.shape
    first = 0
    if 'cls_token' in state:
        x, first = torch.cat([state['cls_token'].expand(B, -1, -1), x], dim=1), 1
    maps = []
    for i in range(depth):
        qkv = linear(norm(x, f'blocks.{i}.norm1'), f'blocks.{i}.attn.qkv')
        q, k, v = qkv.reshape(B, N + first, 3, HEADS, C // HEADS).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * (C // HEADS)**-.5).softmax(-1)
        x = x + linear((weights @ v).transpose(1, 2).reshape(B, N + first, C), f'blocks.{i}.attn.proj')
        x = x + linear(F.gelu(linear(norm(x, f'blocks.{i}.norm2'), f'blocks.{i}.mlp.fc1')), f'blocks.{i}.mlp.fc2')
        if f'pos_block.{i}.proj.0.weight' in state:
            image = x[:, first:].transpose(1, 2).reshape(B, C, H, W)
            name = f'pos_block.{i}.proj.0'
            image = F.conv2d(image, state[f'{name}.weight'], state[f'{name}.bias'], padding=1, groups=C) + image
            x = torch.cat([x[:, :first], image.flatten(2).transpose(1, 2)], dim=1)
        if i in taps:
            maps.append(x[:, first:].transpose(1, 2).reshape(B, C, H, W))
    x = norm(x, 'norm')
    return maps, x[:, 0] if first else x.mean(1)


def authors_file(model):
    """The weights of a model by the authors' names, random ones."""
    numbers = {f'stages.{i}.blocks.{j}.': 2 * i + j for i in range(4) for j in range(2)}
    state = {}
    for key, value in model.state_dict().items():
        for start, number in numbers.items():
            key = key.replace(start, f'blocks.{number}.')
        key = key.replace('patch_embed.cls_token', 'cls_token').replace('stages.3.norm.', 'norm.')
        if '.peg.proj.' in key:
            key = key.replace('blocks', 'pos_block').replace('.peg.proj.', '.proj.0.')
        state[key] = torch.randn(value.shape) * (.05 if value.dim() > 1 else .2)
    return state


@pytest.mark.parametrize('name, pegs', [('cpvt/cpvt_ti', 1), ('cpvt/cpvt_ti', 5), ('cpvt/cpvt_ti_gap', 1)])
def test_the_papers_formulas(name, pegs):
    torch.manual_seed(0)
    raw = tiny(name, pegs=pegs, pyramid='raw', out_norm=False)
    pooled = tiny(name, pegs=pegs, out_type='pooled')
    state = authors_file(pooled)
    assert sum(key.startswith('pos_block.') for key in state) == 2 * pegs
    assert ('cls_token' in state) == ('gap' not in name)
    x = torch.randn(2, 3, 70, 101)
    maps, feature = formulas(state, x, 8, (1, 3, 5, 7))
    for model in (raw, pooled):
        model.load_state_dict(state)
    with torch.no_grad():
        for out, expected in zip((*raw(x), *pooled(x)), (*maps, feature), strict=True):
            torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('peg', [True, False])
@torch.no_grad()
def test_only_the_generator_knows_where_a_token_is(peg):
    """Without it patches in another order give tokens in that order; with it, even those of one colour differ."""
    torch.manual_seed(0)
    model = tiny('cpvt/cpvt_ti', pyramid=None)
    if not peg:
        torch.nn.init.zeros_(model.stages[0].blocks[0].peg.proj.weight)
    x = torch.randn(1, 3, 64, 80)
    out, other = model(x)[0], model(x.unflatten(3, (5, 16)).flip(3).flatten(3))[0]
    assert torch.allclose(out.flip(3), other, atol=1e-4) != peg
    tokens = model(torch.ones(1, 3, 112, 112))[0]
    assert torch.allclose(tokens, tokens[:, :, :1, :1].expand_as(tokens), atol=1e-4) != peg
    inner = tokens[:, :, 1:-1, 1:-1]  # the convolution sees no border there
    assert torch.allclose(inner, inner[:, :, :1, :1].expand_as(inner), atol=1e-4)


@pytest.mark.parametrize('size, dim, params', [('ti', 192, (5.682, 5.689)), ('s', 384, (21.979, 21.994)),
                                               ('b', 768, (86.424, 86.455))])
def test_parameters(size, dim, params):
    for pegs, millions in zip((1, 5), params):
        with torch.device('meta'):
            with_token, mean = (build(f'cpvt/cpvt_{size}{end}', out_type='pooled', pegs=pegs) for end in ('', '_gap'))
        count, without = (sum(p.numel() for p in model.parameters()) + 1000 * (dim + 1) for model in (with_token, mean))
        assert round(count / 1e6, 3) == millions and count - without == dim


def test_what_it_starts_from_and_is_not_decayed():
    model = tiny('cpvt/cpvt_ti', pegs=2)
    model.init_weights()
    peg = model.stages[0].blocks[1].peg.proj
    assert peg.weight.std().item() == pytest.approx((2 / 9)**.5, rel=.1) and not peg.bias.any()
    pegs = {f'stages.0.blocks.{j}.peg.proj.{leaf}' for j in range(2) for leaf in ('weight', 'bias')}
    assert model.no_weight_decay() == {'patch_embed.cls_token', *pegs}
    for wrong in (0, 13, .5):
        with pytest.raises(ValueError, match=r'pegs in 1\.\.12'):
            build('cpvt/cpvt_ti', pegs=wrong)
