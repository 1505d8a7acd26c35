"""The second path of ResT V2's attention against the authors' formula, and what its files don't tell."""
import pytest
import torch
import torch.nn.functional as F
from conftest import DATA, authors_state, backbone_class, build, read_record, tiny
from torch import nn

from mmvit_backbones.backbones.rest_v2 import UpsamplingReductionAttention


@torch.no_grad()
@pytest.mark.parametrize('ratio, size', [(1, (5, 6)), (2, (8, 12)), (4, (9, 14)), (8, (3, 17))])
def test_values_are_upsampled_by_a_pixel_shuffle(ratio, size):
    """Maps of any size: what leaves them at the bottom and the right is cut off."""
    torch.manual_seed(0)
    module = UpsamplingReductionAttention(12, 3, ratio)
    for p in module.parameters():
        nn.init.normal_(p)
    q, (k, v) = torch.randn(2, *size, 12), torch.randn(2, 2, *(-(-side // ratio) for side in size), 12)
    heads = [x.flatten(1, 2).unflatten(-1, (3, 4)).transpose(1, 2) for x in (q, k, v)]
    expected = ((heads[0] @ heads[1].mT * 4**-.5).softmax(-1) @ heads[2]).transpose(1, 2).reshape(q.shape)
    shuffled = F.pixel_shuffle(module.up(v.permute(0, 3, 1, 2)), ratio).permute(0, 2, 3, 1)[:, :size[0], :size[1]]
    expected += F.layer_norm(shuffled, (12, ), module.up_norm.weight, module.up_norm.bias, 1e-6)
    torch.testing.assert_close(module.attend(q, k, v), expected, atol=1e-4, rtol=1e-4)
    assert module(q).shape == q.shape


def test_eps():
    modules = list(tiny('rest_v2/tiny').modules()) + list(tiny('rest_v2/tiny', out_type='pooled').modules())
    assert {module.eps for module in modules if isinstance(module, nn.LayerNorm)} == {1e-6}
    assert [module.eps for module in modules if isinstance(module, nn.BatchNorm2d)] == [1e-5] * 4


def test_outputs_are_normed_beside_the_trunk():
    torch.manual_seed(0)
    normed, bare = tiny('rest_v2/tiny'), tiny('rest_v2/tiny', out_norm=False)
    bare.load_state_dict({key: value for key, value in normed.state_dict().items() if not key.startswith('norm')})
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        for i, (out, expected) in enumerate(zip(normed(x), bare(x))):
            norm = getattr(normed, f'norm{i}')
            torch.testing.assert_close(out, norm(expected.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))


def test_large_has_twice_the_heads_of_the_others():
    heads = {arch: row['num_heads'] for arch, row in backbone_class('rest_v2/tiny').archs.items()}
    assert heads.pop('large') == (2, 4, 8, 16) and set(heads.values()) == {(1, 2, 4, 8)}


def test_names_of_a_segmentor():
    state = authors_state(read_record(DATA / 'rest_v2/tiny.json'))
    detector, segmentor = build('rest_v2/tiny'), build('rest_v2/tiny')
    detector.load_state_dict(state)
    segmentor.load_state_dict({key.replace('.0.', '.') if key.startswith('norm_') else key: value for key, value in state.items()})
    assert all(value.equal(segmentor.state_dict()[key]) for key, value in detector.state_dict().items())
