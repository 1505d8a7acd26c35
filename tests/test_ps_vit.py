"""PS-ViT: the authors' numbers, its map's among them, and where it samples."""
import pytest
import torch
from conftest import DATA, authors_state, build, read_record, tiny
from parity import compare, image

from mmvit_backbones.backbones.ps_vit import Offset, PSViT, sample, start_points
from mmvit_backbones.checkpoints import convert

RECORD = read_record(DATA / 'ps_vit' / 'ps_vit_ti_14.json')


@pytest.mark.parametrize('i', range(len(RECORD['cases'])))
def test_numbers(device, i):
    """The last map behind its norm, the four taps, and the map that is sampled."""
    case = RECORD['cases'][i]
    x = torch.from_numpy(image(case['input'], case['input_seed'])).to(device)
    outs = []
    for options in (dict(pyramid=None), dict(pyramid='raw'), dict(pyramid='own', out_indices=(0, 2))):
        model = build('ps_vit/ps_vit_ti_14', **options, out_norm=options['pyramid'] is None)
        model.load_state_dict(authors_state(RECORD, case))
        with torch.no_grad():
            outs += model.to(device)(x)
    assert len(outs) == len(case['outputs']) + 1 and torch.equal(outs.pop(), outs[4])
    for out, expected in zip(outs, case['outputs']):
        assert compare(out.cpu().numpy(), expected) < 1e-4


def test_samples_one_by_one():
    """A point between four values, on the border, in the ring of one position around the map, and beyond."""
    x = torch.arange(12.).view(1, 1, 3, 4).double() + 1  # 1 2 3 4, 5 6 7 8, 9 10 11 12
    points = [(1, 2), (.5, .25), (2, 3), (-.5, 0), (2.75, 3.5), (-1, 0), (0, 4), (50, -50)]
    expected = [7, 3.25, 12, .5, 12 * .25 * .5, 0, 0, 0]
    found = sample(x, torch.tensor(points).double()[None])
    torch.testing.assert_close(found.flatten(), torch.tensor(expected).double())


def test_points_go_through_the_rows_of_the_image():
    points = start_points((2, 3), (8, 24), torch.device('cpu'))
    assert points[0].tolist() == [[y, x] for y in (2, 6) for x in (4, 12, 20)]


@pytest.mark.parametrize('arch, size, points', [
    ('ti_14', (64, 96), (4, 6)),
    ('b_10', (224, 64), (10, 3)),
    ('b_18', (112, 224), (9, 18)),
    ('b_10', (32, 32), (1, 1)),
])
def test_numbers_of_points(arch, size, points):
    """Their number follows the size of the image, and maps of stride 16 are made of them."""
    small = dict(PSViT.archs[f'ps_vit_{arch}'], dims=(64, ) * 4, num_heads=1, depths=(2, 2, 1, 1))
    model = build('ps_vit/ps_vit_ti_14', arch=small, pyramid='raw')
    found = []
    for stage in model.stages:
        stage.register_forward_hook(lambda module, args, out: found.append(out[1].points))
    with torch.no_grad():
        outs = model(torch.randn(1, 3, *size))
    assert set(found) == {points}
    assert all(out.shape[2:] == (size[0] // 16, size[1] // 16) and out.isfinite().all() for out in outs)


def test_offsets_learn_where_to_sample_and_nothing_else():
    """They start from zero, and their gradient comes through what is sampled, not through what is added for a place."""
    model = tiny('ps_vit/ps_vit_ti_14', pyramid=None)
    model.init_weights()
    offsets = [module for module in model.modules() if isinstance(module, Offset)]
    assert len(offsets) == 3 and not any(value.any() for offset in offsets for value in offset.parameters())
    images = torch.randn(1, 3, 64, 64)
    model(images)[0].square().sum().backward()
    assert all(offset.weight.grad.any() for offset in offsets)
    model.zero_grad()
    model.patch_embed.proj.register_forward_hook(lambda module, args, out: torch.zeros_like(out))
    model(images)[0].square().sum().backward()
    assert not any(offset.weight.grad.any() for offset in offsets) and model.patch_embed.pos_layer.weight.grad.any()


def test_the_class_token_waits_for_the_points():
    """None of the blocks that sample sees it."""
    model = tiny('ps_vit/ps_vit_ti_14', pyramid='raw')
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = model(images)
        model.patch_embed.cls_token += 1
        after = model(images)
    assert [torch.equal(a, b) for a, b in zip(before, after)] == [True, True, False, False]


def test_one_layer_by_five_names():
    """What the file holds twice is dropped by name, as is what follows from the size of the image."""
    loaded, report = convert(build('ps_vit/ps_vit_ti_14'), authors_state(RECORD))
    assert set(report.dropped) == {'point_coord', 'head.weight', 'head.bias', *RECORD['shared']}
    assert loaded['patch_embed.pos_layer.weight'].shape == (192, 2)


def test_epsilon_and_rates():
    model = build('ps_vit/ps_vit_b_14', drop_path_rate=.13)
    assert [len(stage.blocks) for stage in model.stages] == [4, 3, 4, 3]
    blocks = [block for stage in model.stages for block in stage.blocks]
    assert [block.drop_path.rate for block in blocks] == pytest.approx([.01 * i for i in range(14)])
    assert {module.eps for module in model.modules() if isinstance(module, torch.nn.LayerNorm)} == {1e-5}
    assert all(block.attn.qkv.bias is None for block in blocks)
    assert model.no_weight_decay() == {'patch_embed.cls_token'}


def test_points_keep_float32_under_autocast():
    """At the far end of a large map half precision would move them by a part of a position."""
    model = tiny('ps_vit/ps_vit_ti_14', pyramid='raw', out_indices=(0, ))
    found = []
    model.stages[0].blocks[1].register_forward_hook(lambda module, args, out: found.append(out[1]))
    images = torch.randn(1, 3, 32, 1344)
    with torch.no_grad():
        model(images)
        with torch.autocast('cpu', torch.bfloat16):
            model(images)
    exact, half = found
    assert half.dtype == torch.float32 and (exact - half).abs().max() < .1
