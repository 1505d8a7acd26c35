"""CaiT: what no record of the authors shows."""
import pytest
import torch
from conftest import DATA, build, read_record, tiny
from torch import nn

from mmvit_backbones.checkpoints import convert
from mmvit_backbones.layers import DropPath

NAME = 'cait/cait_XXS24_224'


def test_authors_file_without_the_class_attention():
    """It stands behind DataParallel, under 'model'."""
    shapes = read_record(DATA / f'{NAME}.json')['state']
    file = dict(model={f'module.{key}': torch.zeros(shape) for key, shape in shapes.items()})
    _, report = convert(build(NAME, pyramid='raw'), file)
    assert report.complete and not report.new
    names = {key.removeprefix('module.') for key in report.dropped}
    assert names == {key for key in shapes if key.startswith(('cls_token', 'blocks_token_only.', 'head.'))}
    _, report = convert(build(NAME, pyramid='raw', out_norm=False), file)
    assert {key.removeprefix('module.') for key in report.dropped} - names == {'norm.weight', 'norm.bias'}


@pytest.mark.parametrize('arch, scale', [('cait_XXS36', 1e-5), ('cait_S24', 1e-5), ('cait_S36', 1e-6)])
def test_factors_start_near_zero(arch, scale):
    model = tiny(f'cait/{arch}', out_type='pooled', drop_path_rate=.3)
    model.init_weights()
    factors = [value for key, value in model.named_parameters() if '.gamma_' in key]
    assert len(factors) == 2 * (8 + 2)
    assert all((value == torch.tensor(scale)).all() for value in factors)


def test_drop_path_is_the_same_for_all_blocks_but_those_of_the_class_token():
    model = build(NAME, out_type='pooled', drop_path_rate=.3)
    rates = {key: module.rate for key, module in model.named_modules() if isinstance(module, DropPath)}
    assert len(rates) == 24 + 2
    assert all(rate == (0 if 'token_only' in key else .3) for key, rate in rates.items())


def test_what_is_behind_the_blocks():
    model = tiny(NAME, out_type='pooled')
    for key, _ in model.named_parameters():
        behind = key.startswith('stages.3.') and not key.startswith('stages.3.blocks.')
        assert (model.layer_depth(key) == model.num_layers - 1) == behind, key


def test_weights_of_a_classifier_start_a_dense_model():
    pooled, dense = tiny(NAME, out_type='pooled'), tiny(NAME, pyramid=None)
    dense.load_state_dict(pooled.state_dict())
    assert all(torch.equal(value, pooled.state_dict()[key]) for key, value in dense.state_dict().items())


def test_the_bias_before_the_softmax_does_nothing():
    model, x = tiny(NAME, pyramid=None), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected, = model(x)
        for block in model.stages[0].blocks:
            assert not block.attn.proj_l.bias.requires_grad
            nn.init.normal_(block.attn.proj_l.bias)
        assert torch.equal(model(x)[0], expected)
        nn.init.normal_(block.attn.proj_w.bias)
        nn.init.ones_(block.gamma_1)
        assert not torch.allclose(model(x)[0], expected)
