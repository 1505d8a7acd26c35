"""What HRFormer has of its own."""
import pytest
import torch
import torch.nn.functional as F
from conftest import DATA, authors_state, build, read_record, tiny
from torch import nn

from mmvit_backbones.backbones import HRFormer
from mmvit_backbones.backbones.hrformer import ActivatedMlp, Exchange
from mmvit_backbones.checkpoints import convert
from mmvit_backbones.layers import PreNormBlock, mlp

NAME = 'hrformer/hrformer_t'


@pytest.fixture
def image():
    return torch.randn(1, 3, 70, 101, generator=torch.Generator().manual_seed(0))


def test_eps():
    with torch.device('meta'):
        modules = list(build(NAME, out_type='pooled').modules())
    assert {module.eps for module in modules if isinstance(module, nn.LayerNorm)} == {1e-6}
    assert {module.eps for module in modules if isinstance(module, nn.BatchNorm2d)} == {1e-5}


def test_stochastic_depth_is_the_same_in_all_branches():
    with torch.device('meta'):
        model = build(NAME, drop_path_rate=.33)
    found = []
    for stage in model.stages[1:]:
        for block in stage.blocks:
            rates = [[part.drop_path.rate for part in branch] for branch in block.branches]
            assert all(branch == rates[0] for branch in rates)
            found += rates[0]
    assert found == pytest.approx([.03 * k for k in range(12)])
    assert not any(isinstance(part, PreNormBlock) for part in model.stages[0].modules())


@pytest.mark.parametrize('levels', [(0, ), (1, 3)])
def test_levels_are_those_of_the_whole_model(image, levels):
    """Of what is left out, only exchanges behind the last blocks: everything else makes every level."""
    whole, part = tiny(NAME), tiny(NAME, out_indices=levels, frozen_stages=4)
    state, report = convert(part, whole.state_dict())
    last = len(whole.stages[3].blocks) - 1
    absent = [f'stages.3.blocks.{last}.fuse_layers.{i}.' for i in range(4) if i not in levels]
    assert report.complete and report.dropped == [key for key in whole.state_dict() if key.startswith(tuple(absent))]
    part.load_state_dict(whole.state_dict())
    with torch.no_grad():
        expected = whole(image)
        for level, out in zip(levels, part(image)):
            assert torch.equal(out, expected[level])
    assert part.out_strides == tuple(4 * 2**level for level in levels)
    assert not any(parameter.requires_grad for parameter in part.parameters())


def test_tables_of_other_windows_are_interpolated_bilinearly():
    with torch.device('meta'):
        model = HRFormer(dict(HRFormer.archs['hrformer_t'], window=13))
    model.to_empty(device='cpu')
    authors = authors_state(read_record(DATA / f'{NAME}.json'))
    state, report = convert(model, authors)
    assert report.complete and len(report.resized) == 38 and all(key.endswith('_bias_table') for key in report.resized)
    table = authors['stage4.1.branches.3.1.attn.attn.relative_position_bias_table']  # (13 * 13, 8)
    expected = F.interpolate(table.t().view(1, 8, 13, 13), (25, 25), mode='bilinear', align_corners=False)
    key = 'stages.3.blocks.1.branches.3.1.attn.position.relative_position_bias_table'
    assert torch.equal(state[key], expected.view(8, -1).t())


def test_maps_with_odd_sides_are_enlarged_in_two_steps():
    """To twice the size by repetition, then to the exact size with the corners kept."""
    exchange = Exchange((2, 2), 0).eval()
    nn.init.dirac_(exchange[1][0].weight)
    small = torch.arange(8.).view(1, 2, 2, 2) + 1
    with torch.no_grad():
        out = exchange([torch.zeros(1, 3, 4, 2), small])
    rows = torch.tensor([[1, 0, 0, 0], [0, .5, .5, 0], [0, 0, 0, 1]])  # 4 -> 3
    expected = rows @ small.repeat_interleave(2, 1).repeat_interleave(2, 2).permute(0, 3, 1, 2)
    torch.testing.assert_close(out, expected.permute(0, 2, 3, 1), rtol=1e-4, atol=1e-5)


def test_statistics_are_of_the_whole_map(monkeypatch):
    """Without gradients, maps are computed in pieces on CPUs, but not in training."""
    x = torch.randn(2, 9, 8, 4)
    mlps = [ActivatedMlp(4, 8) for _ in range(2)]
    mlps[1].load_state_dict(mlps[0].state_dict())
    mlps[0](x)
    monkeypatch.setattr(mlp, 'PIECE', 300)
    with torch.no_grad():
        mlps[1](x)
        for name, value in mlps[0].named_buffers():
            assert torch.equal(value, mlps[1].get_buffer(name)), name
        pieces = mlps[1].eval()(x)
    torch.testing.assert_close(pieces, mlps[1](x))


def test_initialisation_is_pytorchs_but_for_the_tables():
    torch.manual_seed(0)
    model = tiny(NAME)
    model.init_weights()
    block = model.stages[3].blocks[0].branches[3][0]
    bound = 144**-.5
    assert .9 * bound < block.attn.q_proj.bias.abs().max() <= bound and block.attn.q_proj.weight.abs().max() <= bound
    assert .015 < block.attn.position.relative_position_bias_table.std() < .025


def test_no_weight_decay_of_the_tables():
    with torch.device('meta'):
        names = build(NAME).no_weight_decay()
    assert len(names) == 38 and all(name.endswith('.relative_position_bias_table') for name in names)


def test_what_is_pooled_is_made_of_all_branches():
    model = tiny(NAME, out_type='pooled').train()
    assert model.out_channels == (2048, )
    names = [name for name, _ in model.named_parameters() if name.startswith('stages.3.pooling.')]
    assert len(names) == 76 and {model.layer_depth(name) for name in names} == {model.num_layers - 1}
    dense = tiny(NAME)
    report = convert(dense, model.state_dict())[1]
    assert report.complete and all(key.startswith('stages.3.pooling.') for key in report.dropped) and report.dropped


def test_a_stage_without_blocks_is_refused():
    with pytest.raises(ValueError, match='depths'):
        HRFormer(dict(HRFormer.archs['hrformer_t'], depths=(2, 1, 3, 0)))
