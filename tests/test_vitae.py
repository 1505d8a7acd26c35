"""ViTAE: the authors' numbers at the places that its pyramids are made of, and what no record shows."""
import pytest
import torch
from conftest import DATA, authors_state, build, read_record, tiny
from parity import compare, image
from torch import nn

from mmvit_backbones.backbones.vitae import Performer, ViTAE
from mmvit_backbones.layers import DropPath

RECORD = DATA / 'vitae/vitae_t.json'


@pytest.mark.parametrize('i', range(len(read_record(RECORD)['cases'])))
def test_numbers(device, i):
    """Two maps of the stem and the last; four taps."""
    record = read_record(RECORD)
    case = record['cases'][i]
    x = torch.from_numpy(image(case['input'], case['input_seed'])).to(device)
    outs = []
    for pyramid in ('own', 'raw'):
        model = build('vitae/vitae_t', pyramid=pyramid, out_norm=False)
        model.load_state_dict(authors_state(record, case))
        with torch.no_grad():
            outs += model.to(device)(x)
    first, second, last, pooled, *taps = outs
    assert torch.equal(last, taps[3]) and torch.equal(pooled, nn.functional.max_pool2d(last, 2, ceil_mode=True))
    for out, expected in zip((first, second, *taps), case['outputs']):
        assert compare(out.cpu().numpy(), expected) < 1e-4


def test_performers():
    """The authors' formula: one head, keys first, exponentials and the 1e-8 in float32."""
    torch.manual_seed(0)
    attn = Performer(12, 8).eval()
    x = torch.randn(2, 3, 5, 12)
    with torch.no_grad():
        k, q, v = attn.qkv(x).flatten(1, 2).double().split(8, -1)
        q, k = ((u @ attn.w.double().mT - u.square().sum(-1, keepdim=True) / 2).exp() / 2 for u in (q, k))
        weights = q @ k.mT
        mixed = (weights @ v / (weights.sum(-1, keepdim=True) + 1e-8)).float()
        assert torch.allclose(attn(x).flatten(1, 2), v.float() + attn.proj(mixed), atol=1e-5)
        torch.testing.assert_close(attn.w @ attn.w.mT, 4 * torch.eye(4))
        attn.qkv.weight.mul_(100)  # features that no half precision holds
        with torch.autocast('cpu', torch.bfloat16):
            assert torch.isfinite(attn(x)).all()
    assert not attn.w.requires_grad and 'w' in dict(attn.named_buffers())


def test_eps():
    """1e-5 in reduction cells, 1e-6 elsewhere; batch norms as PyTorch has them."""
    found = {('reduction' in name, type(module), module.eps)
             for name, module in tiny('vitae/vitae_t').named_modules()
             if isinstance(module, (nn.LayerNorm, nn.BatchNorm2d))}
    assert found == {(True, nn.LayerNorm, 1e-5), (False, nn.LayerNorm, 1e-6), (True, nn.BatchNorm2d, 1e-5),
                     (False, nn.BatchNorm2d, 1e-5)}


def test_dropout_and_drop_path():
    """Reduction cells drop a tenth of two results, whatever is set, and no cell; the normal cells share the rest."""
    with torch.device('meta'):
        model = build('vitae/vitae_t', drop_path_rate=.6)
    rates = [module.p for module in model.patch_embed.modules() if isinstance(module, nn.Dropout)]
    assert rates == [.1] * 4 and not any(isinstance(module, nn.Dropout) for module in model.stages.modules())
    assert not any(isinstance(module, DropPath) for module in model.patch_embed.modules())
    assert [round(10 * block.drop_path.rate) for stage in model.stages for block in stage.blocks] == [0, 1, 2, 3, 4, 5, 6]
    torch.manual_seed(0)
    model = tiny('vitae/vitae_t', out_type='pooled').train()
    x = torch.randn(1, 3, 64, 64)
    assert not torch.equal(model(x)[0], model(x)[0])


@torch.no_grad()
@pytest.mark.parametrize('size', [(33, 47), (36, 44), (50, 90)])
def test_images_are_padded_to_multiples_of_4_and_maps_halve_rounded_up(size):
    model = tiny('vitae/vitae_t', pyramid='own')
    x = torch.randn(1, 3, *size)
    outs = model(x)
    assert [tuple(out.shape[2:]) for out in outs] == [tuple(-(-side // stride) for side in size) for stride in model.out_strides]
    for out, expected in zip(outs, model(nn.functional.pad(x, (0, -size[1] % 4, 0, -size[0] % 4)))):
        assert torch.equal(out, expected)


PLAIN = dict(ViTAE.archs['vitae_b'], dims=(32, ) * 4, depths=(1, ) * 4, num_heads=2, groups=8)


def test_what_the_class_token_takes_part_in():
    """In attention and MLP; not in the convolutions, nor in what the classifier reads."""
    torch.manual_seed(0)
    model = build('vitae/vitae_b', arch=PLAIN, out_type='pooled')
    block, tokens = model.stages[0].blocks[0], torch.randn(2, 1 + 12, 32)
    with torch.no_grad():
        attended = tokens + block.attn(block.norm1(tokens))
        attended[:, 1:] += nn.Sequential(*block.convs)(tokens[:, 1:].mT.unflatten(2, (3, 4))).flatten(2).mT
        expected = attended + block.mlp(block.norm2(attended))
        torch.testing.assert_close(block(tokens, (3, 4)), expected)
        torch.testing.assert_close(model.pool((tokens, (3, 4))), model.norm(tokens[:, 1:].mean(1)))
    assert len(block.convs) == 4 and model.norm.eps == 1e-6


def test_b_l_and_h_start_from_zeros_and_have_no_maps_of_their_own():
    model = build('vitae/vitae_b', arch=PLAIN)
    model.init_weights()
    assert not model.patch_embed.pos_embed.any() and not model.patch_embed.cls_token.any()
    assert model.no_weight_decay() == {'patch_embed.pos_embed', 'patch_embed.cls_token'}
    with pytest.raises(ValueError, match="'custom' expects another pyramid, since it has no maps of strides 4 and 8"):
        build('vitae/vitae_b', arch=PLAIN, pyramid='own')
