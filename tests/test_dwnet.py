"""DWNet's mixers against their plain formula, with padding and batch norms as the authors have them."""
import copy

import pytest
import torch
import torch.nn.functional as F
from conftest import backbone_class, build, tiny
from torch import nn

from mmvit_backbones.backbones.dwnet import OPERATORS, InhomogeneousDepthwiseConv, SpatialMixer
from mmvit_backbones.engine.peers import randomise

SMALL = dict(dims=(32, 64, 128, 256), depths=(1, 1, 1, 1), mlp_ratio=2)


def plain(mixer, x):
    """The authors' order of things: the whole map padded, every norm by itself."""
    H, W = x.shape[1:3]
    x = F.pad(x, (0, 0, 0, -W % mixer.multiple, 0, -H % mixer.multiple)).permute(0, 3, 1, 2)
    x = mixer.bn(mixer.conv(mixer.bn0(mixer.conv0(x)).relu())).relu()
    return mixer.bn2(mixer.conv2(x)).permute(0, 2, 3, 1)[:, :H, :W]


@pytest.mark.parametrize('operator', OPERATORS)
@pytest.mark.parametrize('size', [(7, 14), (9, 13), (12, 10), (5, 8)])
def test_fixed_norms_are_folded_and_padding_is_cut(operator, size):
    mixer = randomise(SpatialMixer(32, operator, 7)).eval()
    results = []
    for run in (mixer, lambda x: plain(mixer, x)):
        x = torch.randn(2, *size, 32, generator=torch.Generator().manual_seed(1), requires_grad=True)
        out = run(x)
        mixer.zero_grad()
        out.square().sum().backward()
        results.append([out, x.grad, *(p.grad for p in mixer.parameters())])
    for a, b in zip(*results, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-5 * b.abs().max().item())


@pytest.mark.parametrize('operator', OPERATORS)
def test_statistics_are_of_the_padded_map(operator):
    mixer = randomise(SpatialMixer(32, operator, 7)).train()
    expected = copy.deepcopy(mixer)
    x = torch.randn(2, 9, 13, 32)
    assert torch.allclose(mixer(x), plain(expected, x), atol=1e-4)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(mixer.buffers(), expected.buffers(), strict=True))
    real = randomise(SpatialMixer(32, operator, 1)).train()
    real(x)
    assert not torch.allclose(real.bn.running_mean, mixer.bn.running_mean, atol=1e-3)


@torch.no_grad()
def test_kernels_of_a_position():
    conv = randomise(InhomogeneousDepthwiseConv(64)).eval()
    x = torch.randn(2, 64, 9, 8)
    kernels = conv.conv2(conv.bn(conv.conv1(x)).relu()).view(2, 32, 1, 49, 72)
    expected = (kernels * F.unfold(x, 7, padding=3).view(2, 32, 2, 49, 72)).sum(3).view(2, 64, 9, 8)
    assert torch.allclose(conv(x), expected, rtol=1e-4, atol=1e-5)


def test_kernels_of_an_image_need_two_in_training():
    model = build('dwnet/dynamic_dwnet_tiny', arch=dict(SMALL, operator='dynamic'), out_indices=(0, )).train()
    with pytest.raises(ValueError, match='two images or more at once in training.* sync_bn'):
        model(torch.randn(1, 3, 64, 64))
    model(torch.randn(2, 3, 64, 64))[0].sum().backward()
    fixed = build('dwnet/dynamic_dwnet_tiny', arch=dict(SMALL, operator='dynamic'), norm_eval=True).train()
    fixed(torch.randn(1, 3, 64, 64))


@torch.no_grad()
@pytest.mark.parametrize('operator', OPERATORS)
def test_classifiers_do_not_pad(operator):
    arch = dict(SMALL, operator=operator)
    pooled = randomise(build('dwnet/dwnet_tiny', arch=arch, out_type='pooled'))
    dense = build('dwnet/dwnet_tiny', arch=arch, padding=False, out_norm=False)
    dense.load_state_dict(pooled.state_dict())
    x = torch.randn(1, 3, 96, 160)
    expected = pooled.norm(dense(x)[3].permute(0, 2, 3, 1)).mean((1, 2))
    assert torch.allclose(pooled(x)[0], expected, atol=1e-5)
    padded = build('dwnet/dwnet_tiny', arch=arch, out_norm=False)
    padded.load_state_dict(pooled.state_dict())
    assert not torch.allclose(padded(x)[3], dense(x)[3], atol=1e-3)


@torch.no_grad()
def test_synchronised_norms():
    model = randomise(tiny('dwnet/dwnet_tiny'))
    x = torch.randn(1, 3, 64, 96)
    expected = model(x)
    model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert isinstance(model.norm0.bn, nn.SyncBatchNorm)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(model(x), expected, strict=True))


@pytest.mark.parametrize('operator', OPERATORS)
def test_mixed_precision_of_every_operator(operator):
    model = build('dwnet/dwnet_tiny', arch=dict(SMALL, operator=operator)).train()
    with torch.autocast('cpu', torch.bfloat16):
        outs = model(torch.randn(2, 3, 64, 96))
        sum(out.float().square().mean() for out in outs).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    with torch.no_grad():
        half = model.eval().to(torch.bfloat16)(torch.randn(1, 3, 64, 96).bfloat16())
    assert all(torch.isfinite(out).all() for out in half)


def test_norms_of_blocks_decay():
    """The authors' rule goes by the name `norm`: the stem's, those of the steps down and those of the levels."""
    names = {name for name, _ in tiny('dwnet/dwnet_tiny').named_parameters() if 'norm' in name}
    assert {name.split('.')[0] for name in names} == {'patch_embed', 'stages', 'norm0', 'norm1', 'norm2', 'norm3'}
    assert not any('blocks' in name for name in names)


def test_an_unknown_operator_is_refused():
    row = backbone_class('dwnet/dwnet_tiny').archs['dwnet_tiny']
    with pytest.raises(ValueError, match="operator to be one of static, dynamic, inhomogeneous, but got 'local'"):
        build('dwnet/dwnet_tiny', arch=dict(row, operator='local'))
