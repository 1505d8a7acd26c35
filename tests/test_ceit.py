"""CeiT: the authors' numbers at the taps and of the class feature, and what its class tokens do."""
import pytest
import torch
import torch.nn.functional as F
from conftest import DATA, authors_state, build, read_record, tiny
from parity import compare, image
from torch import nn

RECORD = DATA / 'ceit/ceit_t.json'


@pytest.mark.parametrize('i', [0, 1])
def test_numbers(device, i):
    """The taps; the last one behind the classifier's norm, which the authors do not compute; the class feature."""
    record = read_record(RECORD)
    case = record['cases'][i]
    x = torch.from_numpy(image(case['input'], case['input_seed'])).to(device)
    dense, pooled = build('ceit/ceit_t', pyramid='raw'), build('ceit/ceit_t', out_type='pooled')
    for model in (dense, pooled):
        model.load_state_dict(authors_state(record, case))
    with torch.no_grad():
        taps, (feature, ) = dense.to(device)(x), pooled.to(device)(x)
        normed = pooled.stages[3].norm.norm(taps[3].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    outs = [*taps, normed, feature[:, :, None, None]]
    assert len(outs) == len(case['outputs'])
    for out, expected in zip(outs, case['outputs']):
        assert compare(out.cpu().numpy(), expected) < 1e-4


def test_other_sizes_leave_out_what_makes_no_patch():
    model = tiny('ceit/ceit_t', pyramid='own', out_norm=False)
    x = torch.randn(1, 3, 203, 269, generator=torch.Generator().manual_seed(0))
    stem = model.patch_embed
    with torch.no_grad():
        outs = model(x)
        map_ = F.max_pool2d(stem.bn(F.conv2d(x, stem.conv.weight, stride=2, padding=3)), 3, 2, 1)  # without an activation
        (tokens, _), size, _ = stem(x.permute(0, 2, 3, 1))
    assert torch.allclose(outs[0], map_, atol=1e-5) and outs[0].min() < 0
    assert [out.shape[2:] for out in outs] == [(51, 68), (24, 34), (12, 17), (6, 9)]
    assert size == (12, 17) and tokens.shape == (1, 1 + 12 * 17, 192)


def test_the_class_token_goes_past_the_convolution():
    """What a block adds to it is its norm; one draw of stochastic depth a sample is for it and the patches."""
    torch.manual_seed(0)
    block = tiny('ceit/ceit_t', drop_path_rate=.5).stages[3].blocks[1]
    nn.init.zeros_(block.attn.proj.weight)
    nn.init.zeros_(block.attn.proj.bias)
    tokens, classes = torch.randn(32, 1 + 6, 192), torch.randn(32, 5, 192)
    with torch.no_grad():
        out, after = block((tokens, classes), (2, 3))
        assert torch.equal(after[:, :5], classes) and torch.equal(after[:, 5], out[:, 0])
        torch.testing.assert_close(out[:, 0], tokens[:, 0] + block.norm2(tokens[:, 0]))
        changed = (block.train()((tokens, classes), (2, 3))[0] != tokens).any(-1)
    assert changed.any() and not changed.all() and torch.equal(changed.all(1), changed.any(1))


def test_batch_norms_are_of_the_patches_whoever_keeps_gradients():
    models = [tiny('ceit/ceit_t').train() for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    x = torch.randn(2, 3, 64, 96)
    models[0](x)
    with torch.no_grad():
        models[1](x)
    for (key, value), other in zip(models[0].named_buffers(), models[1].buffers()):
        torch.testing.assert_close(value, other, msg=key)


def test_norms_and_what_is_trained():
    dense, pooled = tiny('ceit/ceit_t'), tiny('ceit/ceit_t', out_type='pooled', drop_path_rate=.1)
    for model in (dense, pooled):
        assert {module.eps for module in model.modules() if isinstance(module, nn.LayerNorm)} == {1e-6}
        assert model.no_weight_decay() == {'patch_embed.cls_token', 'patch_embed.pos_embed'}
    names = {key.split('.')[0] for key, module in dense.named_modules() if isinstance(module, nn.LayerNorm)}
    assert names == {'stages', 'norm0', 'norm1', 'norm2', 'norm3', 'resample0'}
    assert not list(dense.stages[3].norm.parameters())
    last = pooled.stages[3].norm
    assert last.pos_layer_embed.shape == (1, 8, 192) and not last.pos_layer_embed.any() and last.drop_path.rate == 0
