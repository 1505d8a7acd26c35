"""LocalViT: what no record shows, and the promises of the forms that the tests of every family leave out."""
import pytest
import torch
from conftest import backbone_class, build, tiny
from torch import nn

from mmvit_backbones.backbones.localvit import LocalBlock, LocalityFeedForward
from mmvit_backbones.layers import DropPath

FORMS = [f'localvit/localvit_{name}' for name in ('t2t', 'tnt', 'pvt', 'swin')]


def image(height=64, width=64):
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))


def shallow(name, **options):
    """With one block a stage."""
    row = backbone_class(name).archs[name.split('/')[1]]
    return build(name, arch=dict(row, depths=(1, 1, 1, 1)), **options)


@pytest.mark.parametrize('name', FORMS)
def test_checkpointing_changes_no_gradient_and_no_statistics(name):
    plain, saving = (shallow(name, with_cp=with_cp).train() for with_cp in (False, True))
    saving.load_state_dict(plain.state_dict())
    for model in (plain, saving):
        torch.manual_seed(0)
        sum(out.square().sum() for out in model(image())).backward()
    for (key, p), q in zip(plain.named_parameters(), saving.parameters()):
        assert torch.allclose(p.grad, q.grad, rtol=1e-4, atol=1e-5 * p.grad.abs().max().item()), key
    for (key, buffer), other in zip(plain.named_buffers(), saving.buffers()):
        assert torch.equal(buffer, other), key


@pytest.mark.parametrize('name', FORMS)
def test_levels_of_any_size(name):
    model = shallow(name)
    for size in ((32, 32), (70, 101)):
        with torch.no_grad():
            outs = model(image(*size))
        for out, channels, stride in zip(outs, model.out_channels, (4, 8, 16, 32), strict=True):
            assert out.shape[1] == channels and out.is_contiguous() and torch.isfinite(out).all()
            assert all(side in (length // stride, -(-length // stride)) for side, length in zip(out.shape[2:], size))


def test_statistics_given_are_those_of_batch_norms_in_eval_mode():
    """Where they are folded into the convolutions, in eval mode, and where each is a module."""
    torch.manual_seed(0)
    mlp = LocalityFeedForward(8, 32, 4)
    for module in mlp.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value in (module.running_mean, module.bias, module.weight):
                nn.init.normal_(value)
            nn.init.uniform_(module.running_var, .5, 2)
    x = torch.randn(2, 5, 6, 8)
    folded = mlp.eval()(x)
    mlp.convolve = lambda conv, norm, x: norm(conv(x))
    torch.testing.assert_close(folded, mlp(x))


def test_the_class_token_passes_the_feed_forward_part_by():
    block = build('localvit/localvit_t').stages[0].blocks[0]
    x = torch.randn(2, 7, 192)
    out, attended = block(x, (2, 3)), block.attend(x)
    assert out[:, 0].equal(attended[:, 0]) and not torch.isclose(out[:, 1:], attended[:, 1:]).any(2).all()


def test_stochastic_depth_and_norms_of_blocks():
    for name, eps in (('t', 1e-6), ('t2t', 1e-5), ('tnt', 1e-5), ('pvt', 1e-6), ('swin', 1e-5)):
        model = tiny(f'localvit/localvit_{name}', drop_path_rate=.1)
        blocks = [module for module in model.modules() if isinstance(module, LocalBlock)]
        assert len(blocks) == sum(model.spec['depths']) and blocks[-1].drop_path.rate == pytest.approx(.1)
        for block in blocks:
            assert block.norm1.eps == eps and not any(isinstance(part, DropPath) for part in block.mlp.modules())
            assert [key for key, part in block.named_modules() if isinstance(part, nn.LayerNorm)] in (
                ['norm1'], ['norm1', 'attn.norm'])


def test_padding_changes_every_position():
    """The gate reads the whole map."""
    torch.manual_seed(0)
    mlp, x = LocalityFeedForward(8, 32, 4).eval(), torch.randn(1, 6, 6, 8)
    padded = torch.cat([x, torch.zeros_like(x)], dim=2)
    out, of_padded = mlp(x), mlp(padded)
    assert (out - of_padded[:, :, :6]).abs().amax(3).gt(0).all()


def test_the_last_level_of_pvt_reads_its_class_token():
    model = shallow('localvit/localvit_pvt', out_indices=(2, 3))
    with torch.no_grad():
        before = model(image())
        model.stages[3].cls_token.normal_()
        after = model(image())
    assert before[0].equal(after[0]) and not torch.allclose(before[1], after[1])


def test_windows_that_cover_a_map_are_not_shifted():
    stage = tiny('localvit/localvit_swin').stages[0]
    for side, shifted in ((7, False), (14, True)):
        (_, plain), (_, masks) = stage.context(torch.zeros(1, side, 14, 96))
        assert not plain.any() and masks.any() == shifted
