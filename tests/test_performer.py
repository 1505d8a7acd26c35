"""Attention with random features: how near it is to softmax attention, what it costs, and ViT with it."""
import pytest
import torch
from conftest import DATA, authors_state, build, read_record, tiny

from mmvit_backbones.backbones.vit import PerformerAttention
from mmvit_backbones.checkpoints import convert
from mmvit_backbones.engine.flops import count_macs
from mmvit_backbones.layers import attention, normal_directions, softmax_estimate

NAME = 'vit/vit_tiny_patch16_224'


def tokens(count, scale=1., dtype=torch.float32, device='cpu'):
    return [factor * torch.randn(1, 2, count, 64, dtype=dtype, device=device) for factor in (scale, scale, 1.)]


def error(features, scale, draws=8):
    """Of the estimate, as a share of softmax attention's result."""
    torch.manual_seed(features)
    total = 0
    for _ in range(draws):
        q, k, v = tokens(196, scale)
        expected = attention(q, k, v)
        found = softmax_estimate(q, k, v, normal_directions(features, 64))
        total += (found - expected).square().mean() / expected.square().mean() / draws
    return total.sqrt().item()


def test_more_features_are_nearer():
    """Four times as many halve the error where logits are small."""
    errors = [error(features, .25) for features in (16, 64, 256, 1024)]
    assert all(.4 < after / before < .65 for before, after in zip(errors, errors[1:])) and errors[-1] < .05
    assert errors[-1] < error(1024, .5) < .5


def test_directions():
    """Orthogonal, 64 at a time, as long as normally distributed ones."""
    torch.manual_seed(0)
    directions = normal_directions(160, 64)
    lengths = directions.norm(dim=1)
    for part in (directions / lengths[:, None]).split(64):
        torch.testing.assert_close(part @ part.t(), torch.eye(len(part)), atol=1e-5, rtol=0)
    assert lengths.std() > .3 and (directions.square().mean() - 1).abs() < .1


def test_cost_is_linear():
    """In products, and in what the backward pass keeps."""
    costs, kept = [], []
    for count in (512, 1024):
        q, k, v = tokens(count, device='meta')
        costs.append(count_macs(lambda: softmax_estimate(q, k, v, torch.empty(128, 64, device='meta'))).all)
        saved = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x.numel()), lambda x: None):
            softmax_estimate(*(x.requires_grad_() for x in tokens(count)), normal_directions(128, 64))
        kept.append(sum(saved))
    assert costs[1] == 2 * costs[0] and kept[1] < 2.1 * kept[0]


@pytest.mark.parametrize('scale', [1., 100.])
def test_float32_under_autocast(device, scale):
    """Squares of long queries have no place in half precision, and less the largest exponent none overflows."""
    torch.manual_seed(0)
    q, k, v = (x.half().to(device) for x in tokens(50, scale))
    w = normal_directions(64, 64).to(device)
    expected = softmax_estimate(*(x.float() for x in (q, k, v)), w)
    with torch.autocast(device, torch.bfloat16):
        found = softmax_estimate(q, k, v, w)
    assert found.dtype == torch.float16 and torch.isfinite(found).all()
    torch.testing.assert_close(found.float(), expected, atol=2e-3, rtol=2e-3)


def test_vit_with_it():
    """Its weights load, the features are new and saved, and what it draws anew is another estimate of the same."""
    model = build(NAME, attention='performer', random_features=32, pyramid=None)
    state = authors_state(read_record(DATA / f'{NAME}.json'))
    report = convert(model, state)[1]
    assert len(report.new) == 12 and all(name.endswith('attn.directions') for name in report.new)
    model.load_state_dict(state)
    images = torch.randn(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before, = model(images)
        again = build(NAME, attention='performer', random_features=32, pyramid=None)
        again.load_state_dict(model.state_dict())
        assert torch.equal(again(images)[0], before)
        for module in model.modules():
            if isinstance(module, PerformerAttention):
                module.redraw()
        assert not torch.equal(model(images)[0], before)


def test_it_learns_and_compiles():
    model = tiny(NAME, attention='performer', random_features=32).train()
    outs = model(torch.randn(1, 3, 48, 32))
    sum(out.square().sum() for out in outs).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    torch._dynamo.reset()
    images = torch.randn(1, 3, 48, 32)
    with torch.no_grad():
        for a, b in zip(model.eval()(images), torch.compile(model, fullgraph=True, backend='eager')(images)):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize('options, message', [
    (dict(attention='linear'), 'attention, with window=None, to be one of'),
    (dict(attention='performer', window=14), 'attention, with window=14, to be one of'),
    (dict(attention='performer', random_features=0), 'random_features of at least 1'),
])
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(NAME, **options)
