"""T2T-ViT: the authors' numbers at the places that its pyramid is made of, and the pyramid."""
import pytest
import torch
import torch.nn.functional as F
from conftest import DATA, authors_state, build, read_record
from parity import compare, image

from mmvit_backbones.backbones.t2t_vit import PatchNorm, SoftSplit

RECORDS = ('t2t_vit_7', 't2t_vit_t_14')
CASES = [(name, kind, i) for name in RECORDS for kind in ('cases', 'derived_cases')
         for i in range(len(read_record(DATA / f't2t_vit/{name}.json')[kind]))]


@pytest.mark.parametrize('name, kind, i', CASES)
def test_numbers(device, name, kind, i):
    record = read_record(DATA / f't2t_vit/{name}.json')
    case = record[kind][i]
    model = build(f't2t_vit/{name}', pyramid=None)
    state = authors_state(record, case)
    model.load_state_dict(state)
    found = {}
    for place, part in (('token1', 'attention1'), ('token2', 'attention2'), ('project', 'proj')):
        model.patch_embed.get_submodule(part).register_forward_hook(
            lambda *call, place=place: found.update({place: call[-1].permute(0, 3, 1, 2)}))
    with torch.no_grad():
        found['norm'], = model.to(device)(torch.from_numpy(image(case['input'], case['input_seed'])).to(device))
    for expected in case['outputs']:
        if not expected['name'].startswith('soft_split'):  # the patches, which are never copied out
            assert compare(found.pop(expected['name']).cpu().numpy(), expected) < 1e-4, expected['name']
    assert not found


@pytest.mark.parametrize('channels', [1, 6])
def test_rgb_weights_see_the_same_in_equal_channels(channels):
    rgb, other = build('t2t_vit/t2t_vit_7'), build('t2t_vit/t2t_vit_7', in_channels=channels)
    other.load_state_dict(rgb.state_dict())
    x = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for a, b in zip(rgb(x.expand(-1, 3, -1, -1)), other(x.expand(-1, channels, -1, -1))):
            assert torch.allclose(a, b, atol=1e-4)


FLAT = {
    'beige': lambda x: torch.tensor([1.2, .9, .4]).expand_as(x),
    'page with a bar': lambda x: torch.cat([torch.full_like(x[:, :30], 2.64), torch.full_like(x[:, 30:], -2.1)], dim=1),
    'nearly white': lambda x: 2.64 + 1e-2 * x,
    'nearly beige': lambda x: torch.tensor([1.2, .9, .4]) + 1e-3 * x,
    'noise': lambda x: x,
}  # yapf: disable


@pytest.mark.parametrize('image_of', FLAT.values(), ids=list(FLAT))
@pytest.mark.parametrize('channels', [3, 1])
def test_digits_of_the_norm_of_flat_patches(image_of, channels):
    torch.manual_seed(0)
    split, norm = SoftSplit(channels, 32, 7, 4, 2), PatchNorm(49 * channels)
    for value in norm.parameters():
        torch.nn.init.normal_(value)
    x = image_of(torch.randn(2, 40, 60, 3))[..., :channels]
    patches = F.unfold(x.double().permute(0, 3, 1, 2), 7, padding=2, stride=4).transpose(1, 2)
    with torch.no_grad():
        out = split(x, norm).flatten(1, 2)
        split.double(), norm.double()
        expected = F.linear(norm(patches), split.weight, split.bias)
    assert (out - expected).abs().max() < 2e-4 * expected.std()
