"""ViTAEv2's cells in training, and images of which the authors' code makes nothing."""
import pytest
import torch
import torch.nn.functional as F
from conftest import build, tiny
from torch import nn

from mmvit_backbones.backbones.vitae_v2 import CellAttention, NormalCell


def test_eps():
    """1e-5 in reduction cells, 1e-6 in normal cells; batch norms as PyTorch has them."""
    found = {('blocks' in name, type(module), module.eps, getattr(module, 'momentum', None))
             for name, module in tiny('vitae_v2/vitaev2_s').named_modules()
             if isinstance(module, (nn.LayerNorm, nn.BatchNorm2d))}
    assert found == {(False, nn.LayerNorm, 1e-5, None), (True, nn.LayerNorm, 1e-6, None),
                     (False, nn.BatchNorm2d, 1e-5, .1), (True, nn.BatchNorm2d, 1e-5, .1)}


def test_rates_of_drop_path_start_at_the_depth_of_the_stage_before():
    with torch.device('meta'):
        model = build('vitae_v2/vitaev2_s', drop_path_rate=.13)
    rates = [[round(100 * block.drop_path.rate) for block in stage.blocks] for stage in model.stages]
    assert rates == [[0, 1], [2, 3], [2, 3, 4, 5, 6, 7, 8, 9], [8, 9]]


def test_attention_and_convolutions_are_dropped_apart():

    class Constant(nn.Module):

        def __init__(self, value):
            super().__init__()
            self.value = value

        def forward(self, x):
            return torch.full_like(x, self.value)

    torch.manual_seed(0)
    cell = NormalCell(4, Constant(1.), Constant(3.), Constant(0.), drop_path=.5).train()
    out = cell(torch.zeros(100, 2, 3, 4))
    assert set(out[:, 0, 0, 0].tolist()) == {0., 2., 6., 8.}
    assert out.eq(out[:, :1, :1, :1]).all(), 'a sample is dropped as a whole'


@torch.no_grad()
@pytest.mark.parametrize('size', [(7, 7), (9, 20), (3, 1)])
def test_padding_takes_part_in_windows(size):
    """Zeros around the centre before the projection, whose bias they become; no mask."""
    torch.manual_seed(0)
    module = CellAttention(6, 8, 2, 7)
    x = torch.randn(2, *size, 6)
    rows, cols = (-side % 7 for side in size)
    padded = F.pad(x, (0, 0, cols // 2, cols - cols // 2, rows // 2, rows - rows // 2))
    out = torch.empty(*padded.shape[:3], 8)
    for i in range(0, padded.shape[1], 7):
        for j in range(0, padded.shape[2], 7):
            tokens = module.qkv(padded[:, i:i + 7, j:j + 7].flatten(1, 2)).unflatten(-1, (3, 2, 4))
            q, k, v = tokens.permute(2, 0, 3, 1, 4)
            mixed = (q @ k.mT * 4**-.5).softmax(-1) @ v
            out[:, i:i + 7, j:j + 7] = module.proj(mixed.transpose(1, 2).flatten(2)).unflatten(1, (7, 7))
    out = out[:, rows // 2:rows // 2 + size[0], cols // 2:cols // 2 + size[1]]
    torch.testing.assert_close(module(x), out, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize('size', [(33, 47), (36, 44), (50, 90)])
def test_images_are_padded_to_multiples_of_4_and_maps_halve_rounded_up(size):
    model = tiny('vitae_v2/vitaev2_s')
    x = torch.randn(1, 3, *size)
    outs = model(x)
    sizes = [tuple(-(-side // stride) for side in size) for stride in model.out_strides]
    assert [tuple(out.shape[2:]) for out in outs] == sizes
    for out, expected in zip(outs, model(F.pad(x, (0, -size[1] % 4, 0, -size[0] % 4)))):
        assert torch.equal(out, expected)


def test_initialisation():
    """Linear layers have their own, convolutions PyTorch's."""
    model = tiny('vitae_v2/vitaev2_s')
    before = {name: value.clone() for name, value in model.named_parameters()}
    model.init_weights()
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            assert module.weight.equal(before[f'{name}.weight']) and module.bias.equal(before[f'{name}.bias'])
        elif isinstance(module, nn.Linear):
            assert abs(module.weight.std() - .02) < 2e-3
            assert module.bias is None or not module.bias.any()


def test_what_decays():
    """The authors' rule spares what is called norm, which batch norms are not."""
    model = tiny('vitae_v2/vitaev2_s')
    assert model.no_weight_decay() == set()
    for name, module in model.named_modules():
        if isinstance(module, (nn.LayerNorm, nn.BatchNorm2d)):
            assert ('norm' in name) == isinstance(module, nn.LayerNorm), name
