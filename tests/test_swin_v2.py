"""What Swin V2's blocks start from, and its weights in other windows."""
import math

import pytest
import torch
from conftest import backbone_class, build, tiny
from torch.torch_version import TorchVersion

from mmvit_backbones.backbones.swin_v2 import ContinuousPositionBias, CosineAttention
from mmvit_backbones.layers import shifted_windows


def attend(module, x):
    padded = [-(-side // module.position.window[0]) * module.position.window[0] for side in x.shape[1:3]]
    return module(x, *shifted_windows((len(x), *padded), module.position.window[0], 0, x.device))


@torch.no_grad()
def test_blocks_start_as_the_identity():
    model = tiny('swin_v2/tiny_window8_256')
    model.init_weights()
    x = torch.randn(1, 9, 10, 96)
    assert torch.equal(model.stages[0](x), x)
    assert all((block.attn.logit_scale == math.log(10)).all() for block in model.stages[0].blocks)


@torch.no_grad()
def test_a_larger_window_has_the_bias_of_the_smaller_one():
    """For the offsets that both have, where both are scaled by the window of the pre-training."""
    small, large = (ContinuousPositionBias(window, 5, 2) for window in (5, 9))
    large.load_state_dict(small.state_dict())
    corner = large().view(2, 9, 9, 9, 9)[:, 2:7, 2:7, 2:7, 2:7].reshape(2, 25, 25)
    assert torch.allclose(corner, small(), atol=1e-6)
    rescaled = ContinuousPositionBias(9, 9, 2)
    rescaled.load_state_dict(small.state_dict())
    assert not torch.allclose(rescaled(), large(), atol=1e-3)


@torch.no_grad()
def test_the_bias_between_two_tokens():
    bias = ContinuousPositionBias(4, 3, 2)
    query, key = 4 * 3 + 1, 4 * 0 + 3  # (row 3, column 1) and (row 0, column 3)
    offset = torch.tensor([math.log2(1 + 8 * 3 / 2) / 3, -math.log2(1 + 8 * 2 / 2) / 3])
    assert torch.allclose(bias()[:, query, key], 16 * bias.mlp(offset).sigmoid())


@torch.no_grad()
def test_temperatures_end_at_a_hundredth():
    module = CosineAttention(16, 2, 4, 4)
    x = torch.randn(1, 4, 8, 16)
    module.logit_scale.fill_(math.log(100))
    expected = attend(module, x)
    module.logit_scale.fill_(7.)
    assert torch.equal(attend(module, x), expected)
    module.logit_scale.fill_(4.)
    assert not torch.allclose(attend(module, x), expected)


@torch.no_grad()
@pytest.mark.skipif(torch.__version__ < TorchVersion('2.4'), reason='PyTorch 2.1 has no float16 linears on CPUs')
def test_keys_of_padded_tokens_are_zero_in_half_precision_too():
    """Their norm is 0, and float16 has no 1e-12 to add to it."""
    module = CosineAttention(16, 2, 4, 4)
    x = torch.randn(1, 3, 5, 16)
    out = attend(module.half(), x.half()).float()
    assert torch.allclose(out, attend(module.float(), x), atol=1e-2)


def test_what_does_not_decay():
    model = tiny('swin_v2/tiny_window8_256')
    attn = 'stages.0.blocks.0.attn.'
    assert {name[len(attn):] for name in model.no_weight_decay() if name.startswith(attn)} == {
        'logit_scale', 'q_bias', 'v_bias', 'position.mlp.0.weight', 'position.mlp.0.bias', 'position.mlp.2.weight'
    }


def test_a_window_of_one_token_has_no_offsets():
    row = backbone_class('swin_v2/tiny_window8_256').archs['tiny_window8_256']
    with pytest.raises(ValueError, match='pretrained_window of at least 2'):
        build('swin_v2/tiny_window8_256', arch=dict(row, pretrained_window=(8, 8, 8, 1)))
