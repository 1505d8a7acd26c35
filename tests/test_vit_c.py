"""ViT_C: what its stem gives and starts from, and the layout of its authors' older code."""
import pytest
import torch
from conftest import DATA, authors_state, backbone_class, build, read_record, tiny
from torch import nn

NAME = 'vit_c/vit_c_1gf'


def test_the_older_layout_is_the_same_network():
    state = authors_state(read_record(DATA / f'{NAME}.json'))
    older = {}
    for key, value in state.items():
        key = key.replace('.block.in_proj_', '.attn_proj.').replace('.block.out_proj.', '.out_proj.')
        older[key] = value.transpose(0, 1) if key == 'pos_embedding' else value
    assert older.keys() != state.keys()
    models = [build(NAME, pyramid='raw') for _ in range(2)]
    for model, weights in zip(models, (state, older)):
        model.load_state_dict(weights)
    assert all(value.equal(other) for value, other in zip(*(model.state_dict().values() for model in models)))


def test_positions_of_another_grid():
    model = build(NAME)
    positions = torch.randn(1 + 24 * 24, 1, 192)
    expected = nn.functional.interpolate(positions[1:, 0].t().reshape(1, 192, 24, 24), (14, 14), mode='bicubic')
    table = model.patch_embed.resize('pos_embed', positions)
    assert table[:, 0].equal(positions[0]) and torch.allclose(table[0, 1:], expected[0].flatten(1).t(), atol=1e-5)


@pytest.mark.parametrize('variant, channels', [('vit_c_1gf', (48, 96)), ('vit_c_18gf', (128, 256)),
                                               ('vit_c_72gf_in21k', (128, 256))])
def test_own_levels_are_what_the_steps_down_read(variant, channels):
    row = dict(backbone_class(NAME).archs[variant], dims=(64, ) * 4, depths=(1, 0, 0, 1), num_heads=1)
    model = build(NAME, arch=row, pyramid='own', out_norm=False)
    read = []
    for conv in model.patch_embed.convs:
        if conv[0].stride == (2, 2):
            conv.register_forward_pre_hook(lambda _, args: read.append(args[0]))
    with torch.no_grad():
        outs = model(torch.randn(1, 3, 75, 101))
    assert model.out_channels == (*channels, 64, 64)
    assert [out.shape[2:] for out in outs] == [(19, 26), (10, 13), (5, 7), (3, 4)]
    assert len(read) == 4 and all(out.equal(map_) for out, map_ in zip(outs, read[2:]))


def test_eps():
    modules = list(tiny(NAME, pyramid='own').modules())
    assert {module.eps for module in modules if isinstance(module, nn.LayerNorm)} == {1e-6}
    assert {module.eps for module in modules if isinstance(module, nn.BatchNorm2d)} == {1e-5}


@torch.no_grad()
def test_what_it_starts_from():
    torch.manual_seed(0)
    model = tiny(NAME)
    model.init_weights()
    stem, block = model.patch_embed, model.stages[0].blocks[0]
    assert not stem.cls_token.any() and stem.pos_embed.std() == pytest.approx(.02, rel=.05)
    for conv, *_ in stem.convs:
        assert conv.weight.std() == pytest.approx((2 / conv.out_channels)**.5, rel=.1)
    assert stem.proj.weight.std() == pytest.approx(192**-.5, rel=.05) and not stem.proj.bias.any()
    assert not block.attn.qkv.bias.any() and not block.attn.proj.bias.any()
    xavier = 6 / (192 + 576)
    for linear, bound in ((block.attn.qkv, xavier), (block.mlp.fc1, xavier), (block.attn.proj, 1 / 192)):
        assert linear.weight.abs().max() == pytest.approx(bound**.5, rel=.01)
    assert 0 < block.mlp.fc1.bias.abs().max() < 1e-5
