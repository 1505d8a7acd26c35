"""ResT's normed attention against the authors' formula, and the norms that its trunk has for levels that are read."""
import pytest
import torch
import torch.nn.functional as F
from conftest import DATA, authors_state, build, read_record, tiny
from parity import compare, image
from torch import nn

from mmvit_backbones.backbones.rest import TalkingReductionAttention
from mmvit_backbones.checkpoints import CheckpointError


def attention(scale=1.):
    """A module of three heads whose logits are of order ``scale``."""
    torch.manual_seed(0)
    module = TalkingReductionAttention(24, 3, 2)
    for p in module.parameters():
        nn.init.normal_(p)
    module.q.weight.data *= scale
    module.q.bias.data *= scale
    return module


def formula(module, q, k, v):
    q, k, v = (x.flatten(1, 2).unflatten(-1, (3, 8)).transpose(1, 2) for x in (q, k, v))
    maps = F.instance_norm(module.transform_conv(q @ k.mT * 8**-.5).softmax(-1), eps=1e-5)
    return (maps @ v).transpose(1, 2).flatten(2)


@torch.no_grad()
@pytest.mark.parametrize('scale', [1., 1e-2, 0.])
@pytest.mark.parametrize('keys', [(1, 1), (1, 2), (5, 7)])
def test_attention_is_the_authors(scale, keys):
    module = attention(scale)
    q, (k, v) = torch.randn(2, 9, 11, 24) * scale, torch.randn(2, 2, *keys, 24)
    for common in (0, 100):  # of the values, which the norm takes away
        out = module.attend(q, k, v + common).flatten(1, 2)
        expected = formula(module.double(), q.double(), k.double(), v.double() + common)
        assert (out - expected).abs().max() < (1e-3 if common else 1e-4)
        module.float()


@pytest.mark.parametrize('keys', [1, 4])
def test_gradients_of_a_flat_map(keys):
    """Whose deviation is zero."""
    module = attention()
    parts = [torch.zeros(1, 3, 3, 24), torch.randn(1, 1, keys, 24), torch.randn(1, 1, keys, 24)]
    parts = [part.requires_grad_() for part in parts]
    module.attend(*parts).square().sum().backward()
    assert all(torch.isfinite(x.grad).all() for x in (*parts, module.transform_conv.weight))


@torch.no_grad()
def test_halves_lose_no_more_than_their_own_digits():
    module = attention()
    q, (k, v) = .1 * torch.randn(2, 40, 40, 24), torch.randn(2, 2, 20, 20, 24)
    half = [x.bfloat16() for x in (q, k, v)]
    expected = formula(module, *(x.float() for x in half))
    with torch.autocast('cpu', torch.bfloat16):
        out = module.attend(*half)
    assert out.dtype == torch.bfloat16
    assert (out.flatten(1, 2) - expected).abs().max() < 1e-2 * expected.abs().max()


@torch.no_grad()
def test_the_bias_of_the_mixed_heads_changes_nothing():
    module, x = attention(), torch.randn(1, 8, 8, 24)
    before = module(x)
    module.transform_conv.bias += 1
    assert torch.equal(module(x), before) and not module.transform_conv.bias.requires_grad


def test_one_head_has_no_mixing_and_ratio_1_no_convolution():
    names = {name.split('.')[0] for name, _ in TalkingReductionAttention(8, 1, 1).named_parameters()}
    assert names == {'q', 'kv', 'proj'}


def test_eps():
    norms = [module for module in tiny('rest/lite').modules() if isinstance(module, (nn.LayerNorm, nn.BatchNorm2d))]
    assert {module.eps for module in norms} == {1e-5}


@torch.no_grad()
def test_numbers_in_float32():
    """The authors' own formulas in float32 differ from those in float64 by 1e-4 here."""
    record = read_record(DATA / 'rest/lite.json')
    case = record['cases'][1]
    model = build('rest/lite')
    model.load_state_dict(authors_state(record, case))
    outs = model(torch.from_numpy(image(case['input'], case['input_seed'])))
    assert all(compare(out.numpy(), expected) < 3e-4 for out, expected in zip(outs, case['outputs']))


@torch.no_grad()
def test_levels_that_are_asked_for_are_normed_in_line():
    model = tiny('rest/lite', out_indices=(1, 3), frozen_stages=3)
    assert [getattr(model, f'norm{i}') is not None for i in range(4)] == [False, True, False, True]
    assert model.train() is model and not model.norm1.training and model.norm3.training
    model.eval().double()
    for name in ('norm1', 'norm3'):
        nn.init.normal_(getattr(model, name).weight)
    x = torch.randn(1, 3, 64, 96).double()
    maps = model.stages[1](model.stages[0](model.patch_embed(x.permute(0, 2, 3, 1))))
    normed = model.norm1(maps)
    last = model.norm3(model.stages[3](model.stages[2](normed)))
    for out, expected in zip(model(x), (normed, last)):
        torch.testing.assert_close(out.permute(0, 2, 3, 1), expected)


def test_norms_of_the_trunk_are_not_left_out():
    """A classifier, or a detector of other levels, would compute something else with the weights of a detector."""
    state = tiny('rest/lite').state_dict()
    arch = tiny('rest/lite').spec
    for options in (dict(out_type='pooled'), dict(out_indices=(1, 2, 3))):
        with pytest.raises(CheckpointError, match='2 unexplained .norm0.weight|6 unexplained .norm0.weight'):
            build('rest/lite', arch=arch, **options).load_state_dict(state)
    classifier = build('rest/lite', arch=arch, out_type='pooled')
    names = {name for name, _ in classifier.named_parameters() if name.startswith('norm')}
    assert names == {'norm3.weight', 'norm3.bias'}
    model = tiny('rest/lite')
    model.load_state_dict(classifier.state_dict())
    assert torch.equal(model.norm0.weight, torch.ones(64))
