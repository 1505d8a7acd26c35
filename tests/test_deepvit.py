"""DeepViT: what no record of the authors shows."""
import pytest
import torch
from conftest import build, tiny
from torch import nn

from mmvit_backbones.backbones.column import SelfAttention
from mmvit_backbones.backbones.deepvit import ReAttention

NAME = 'deepvit/deepvit_S'


def plain(module, x):
    """Re-attention by the authors' steps."""
    q, k, v = module.qkv(x).unflatten(-1, (3, 4, -1)).permute(2, 0, 3, 1, 4)
    maps = (q @ k.mT * q.shape[-1]**-.5).softmax(-1)
    maps = module.var_norm(module.reatten_matrix(maps)) * module.scale
    return module.proj((maps @ v).transpose(1, 2).flatten(2))


@pytest.mark.parametrize('training', [True, False])
def test_results_gradients_and_statistics(training):
    torch.manual_seed(0)
    ours, theirs = (ReAttention(20, 4, scaled=True).double().train(training) for _ in range(2))
    assert ours.scale == 5**-.5
    for value in (*ours.var_norm.parameters(), ours.var_norm.running_mean):
        nn.init.normal_(value)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 6, 20, dtype=torch.double)
    out, expected = ours(x, (2, 3)), plain(theirs, x)
    torch.testing.assert_close(out, expected)
    for value in (out, expected):
        (value * torch.linspace(-1, 1, value.numel(), dtype=torch.double).view_as(value)).sum().backward()
    for (key, p), q in zip(ours.named_parameters(), theirs.parameters()):
        torch.testing.assert_close(p.grad, q.grad, msg=key)
    for (key, buffer), other in zip(ours.named_buffers(), theirs.buffers()):
        torch.testing.assert_close(buffer, other, msg=key)


@pytest.mark.parametrize('arch, re_attention, eps, alpha', [
    ('deepvit_S', 5, 4e-6, 2),
    ('deepvit_patch16_224_re_attn_16b', 16, 1e-6, 1),
])
def test_blocks(arch, re_attention, eps, alpha):
    with torch.device('meta'):
        model = build(f'deepvit/{arch}', pyramid=None)
    blocks = [block for stage in model.stages for block in stage.blocks]
    kinds = [type(block.attn) for block in blocks]
    assert kinds == [SelfAttention] * (16 - re_attention) + [ReAttention] * re_attention
    assert {block.norm1.eps for block in blocks} == {block.norm2.eps for block in blocks} == {eps}
    assert {block.alpha for block in blocks} == {alpha} and model.stages[3].norm.eps == 1e-6


def test_the_stem_of_convolutions_leaves_out_a_remainder():
    x = torch.randn(1, 3, 75, 111)
    with torch.no_grad():
        assert tiny(NAME, pyramid=None)(x)[0].shape[2:] == (4, 7)
        assert tiny('deepvit/deepvit_patch16_224_re_attn_16b', pyramid=None)(x)[0].shape[2:] == (5, 7)


def test_statistics_that_are_frozen():
    """They stay, and the maps are mixed by them in training, too."""
    model = tiny(NAME, norm_eval=True, pyramid=None).train()
    before = {key: value.clone() for key, value in model.named_buffers()}
    model(torch.randn(2, 3, 64, 64))[0].sum().backward()
    assert all(torch.equal(value, before[key]) for key, value in model.named_buffers())
    assert all(p.grad is not None for p in model.parameters())
