"""What Twins-SVT does where windows do not fit the map."""
import pytest
import torch
from conftest import build

from mmvit_backbones.backbones.twins_svt import LocallyGroupedAttention


def attention(padding):
    torch.manual_seed(0)
    return LocallyGroupedAttention(16, 2, 7, padding).eval()


@torch.no_grad()
def test_masked_windows_see_real_tokens_only():
    x = torch.randn(2, 9, 10, 16)
    module = attention('mask')
    corner = x[:, 7:, 7:].flatten(1, 2)  # the last window holds 2 x 3 real tokens
    q, k, v = module.qkv(corner).view(2, 6, 3, 2, 8).permute(2, 0, 3, 1, 4)
    expected = (q @ k.mT * 8**-.5).softmax(-1) @ v
    expected = module.proj(expected.transpose(1, 2).flatten(2))
    torch.testing.assert_close(module(x)[:, 7:, 7:].flatten(1, 2), expected, atol=1e-6, rtol=1e-4)
    assert not torch.allclose(attention('pad')(x), module(x), atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize('size', [(14, 10), (9, 7), (14, 7)])
def test_the_mask_is_without_effect_where_a_side_needs_no_padding(size):
    x = torch.randn(2, *size, 16)
    torch.testing.assert_close(attention('mask')(x), attention('pad')(x), atol=0, rtol=0)


def test_an_unknown_padding_is_refused():
    with pytest.raises(ValueError, match="'pad' or 'mask', but got 'zeros'"):
        build('twins_svt/small', padding='zeros')
