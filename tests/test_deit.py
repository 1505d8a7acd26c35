"""DeiT's variants in training, their heads, and the kernel that is fitted to another patch."""
import pytest
import torch
from conftest import DATA, authors_state, backbone_class, build, read_record, tiny
from mmengine.registry import MODELS

from mmvit_backbones.backbones.deit import ResizedPatchConv
from mmvit_backbones.checkpoints import convert
from mmvit_backbones.engine import classifier

PLAIN, DISTILLED, SCALED = (
    f'deit/deit_tiny_{kind}' for kind in ('patch16_224', 'distilled_patch16_224', 'patch16_LS'))


def state_of(name):
    return authors_state(read_record(DATA / f'{name}.json'))


def row_of(name, **changes):
    return dict(backbone_class(name).archs[name.split('/')[1]], depths=(1, 1, 1, 1), **changes)


def test_drop_path_is_constant_in_deit_iii():
    for name, rates in ((PLAIN, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), (SCALED, [11] * 12)):
        with torch.device('meta'):
            model = build(name, drop_path_rate=.11)
        assert [round(100 * block.drop_path.rate) for stage in model.stages for block in stage.blocks] == rates


def test_branches_of_deit_iii_start_small_and_have_no_decay():
    model = tiny(SCALED)
    model.init_weights()
    scales = {name: value for name, value in model.named_parameters() if 'gamma' in name}
    assert len(scales) == 16 and all(value.eq(1e-4).all() for value in scales.values())
    assert model.no_weight_decay() == {*scales, 'patch_embed.pos_embed', 'patch_embed.cls_token'}


def test_the_distillation_token_decays():
    model = tiny(DISTILLED)
    assert model.no_weight_decay() == {'patch_embed.pos_embed', 'patch_embed.cls_token'}
    assert 'patch_embed.dist_token' in dict(model.named_parameters())


def test_the_class_token_of_deit_iii_has_no_position():
    model = tiny(SCALED)
    assert model.patch_embed.pos_embed.shape == (1, 196, 192)
    with torch.no_grad():
        model.patch_embed.pos_embed.fill_(1.)
        tokens, _ = model.patch_embed(torch.zeros(1, 64, 64, 3))
    assert tokens[:, 0].equal(model.patch_embed.cls_token[:, 0])
    torch.testing.assert_close(tokens[:, 1:], (model.patch_embed.proj.bias + 1).expand(1, 16, -1))


@torch.no_grad()
def test_deit_is_vit():
    state = {key: value for key, value in state_of(PLAIN).items() if not key.startswith('head')}
    models = [build(name, pyramid=None) for name in (PLAIN, 'vit/vit_tiny_patch16_224')]
    outs = []
    for model in models:
        model.load_state_dict(state)
        outs.append(model(torch.ones(1, 3, 40, 50))[0])
    assert outs[0].equal(outs[1])


@pytest.mark.parametrize('name', [PLAIN, DISTILLED, SCALED])
def test_windows_leave_out_the_tokens_in_front(name):
    with torch.device('meta'):
        model = build(name, window=14, global_blocks=(2, 5, 8, 11))
    state = {key: value.to('meta') for key, value in state_of(name).items()}
    loaded, report = convert(model, state)
    assert set(report.dropped) == {key for key in state if 'token' in key or 'head' in key}
    assert loaded['patch_embed.pos_embed'].shape == (1, 196, 192)
    assert sum('position' in key for key in report.new) == 24


def test_the_kernel_of_patches_of_14_pixels():
    """Dense models interpolate it, and the report says so; the classifier has it as it is."""
    name = 'deit/deit_huge_patch14_LS'
    arch = row_of(name, dims=(32, ) * 4, num_heads=2, grid=4)
    dense, pooled = build(name, arch=arch), build(name, arch=arch, out_type='pooled')
    state = pooled.state_dict()
    assert state['patch_embed.proj.weight'].shape == (32, 3, 14, 14)
    _, report = convert(dense, state)
    assert report.resized == {'patch_embed.proj.weight': ((32, 3, 14, 14), (32, 3, 16, 16))}
    assert [tuple(out.shape[2:]) for out in dense(torch.ones(1, 3, 64, 96))] == [(16, 24), (8, 12), (4, 6), (2, 3)]
    grey = build(name, arch=arch, in_channels=1)
    dense.load_state_dict(state)
    grey.load_state_dict(state)
    assert torch.allclose(grey.patch_embed.proj.weight, dense.patch_embed.proj.weight.sum(1, keepdim=True), atol=1e-6)
    ramp = torch.arange(14.).expand(1, 1, 14, 14)
    inner = ResizedPatchConv(1, 1, 14).resize('weight', ramp)[0, 0, 8, 4:-4]
    torch.testing.assert_close(inner, (torch.arange(4., 12) + .5) * 14 / 16 - .5, atol=.06, rtol=0.)


def test_both_heads_of_the_distilled_learn_and_are_kept(tmp_path):
    from mmpretrain.structures import DataSample
    model = MODELS.build(classifier(DISTILLED, num_classes=3, arch=row_of(DISTILLED))).train()
    model.init_weights()
    samples = [DataSample().set_gt_label(label) for label in (0, 2)]
    with pytest.warns(UserWarning, match='cannot train the distilled'):
        model(torch.randn(2, 3, 64, 64), samples, mode='loss')['loss'].backward()
    assert all(value.grad is not None for value in model.parameters())
    torch.save(dict(meta=dict(epoch=1), state_dict=model.state_dict()), tmp_path / 'epoch_1.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'epoch_1.pth'))
    again = MODELS.build(classifier(DISTILLED, 3, init_cfg, arch=row_of(DISTILLED)))
    again.init_weights()
    assert all(value.equal(again.state_dict()[key]) for key, value in model.state_dict().items())
    dense = build(DISTILLED, arch=row_of(DISTILLED), init_cfg=init_cfg)
    dense.init_weights()
    assert dense.patch_embed.dist_token.equal(model.backbone.patch_embed.dist_token)
