"""Columns: the authors' numbers at the places that levels are made of, and the levels."""
import pytest
import torch
from conftest import SMALLEST, authors_state, build, is_column, read_record, records, tiny
from parity import compare, image

CASES = [(name, path, kind, i) for name, path in records() if is_column(name)
         for kind in ('cases', 'derived_cases', 'extra_cases', 'cases_antialias') for i in range(len(read_record(path).get(kind, ())))]
ELSEWHERE = ('ceit', 'ps_vit', 't2t_vit', 'vitae')
"""Families whose cases hold other places than the last map behind its norm and the four taps."""
TAPS_FIRST = ('localvit', 'tnt')
"""Families whose cases hold the last map behind its norm after the four taps."""


@pytest.mark.parametrize('name, path, kind, i', [case for case in CASES if case[0].split('/')[0] not in ELSEWHERE],
                         ids=lambda value: str(getattr(value, 'stem', value)))
def test_numbers(device, name, path, kind, i):
    record = read_record(path)
    case = record[kind][i]
    x = torch.from_numpy(image(case['input'], case['input_seed'])).to(device)
    outs = []
    for options in (dict(), ) if record.get('dense') else (dict(pyramid=None), dict(pyramid='raw', out_norm=False)):
        model = build(name, antialias=kind == 'cases_antialias', **options)
        model.load_state_dict(authors_state(record, case))
        with torch.no_grad():
            outs += model.to(device)(x)
    if record['family'] in TAPS_FIRST:
        outs = [*outs[1:], outs[0]]
    assert len(outs) == len(case['outputs'])
    for out, expected in zip(outs, case['outputs']):
        assert compare(out.cpu().numpy(), expected) < 1e-4


@pytest.fixture(params=[family for family, name in SMALLEST.items() if is_column(name)])
def column(request):
    """The smallest variant of every columnar family in turn."""
    return SMALLEST[request.param]


def pyramids(name):
    return type(tiny(name)).pyramids


def test_pyramids(column):
    """Each gives its levels at the strides that it says, whatever the size, and gradients to all that it has."""
    for pyramid in pyramids(column):
        model = tiny(column, pyramid=pyramid).train()
        outs = model(torch.randn(1, 3, 72, 104))
        assert len(outs) == len(model.out_channels) == len(model.out_strides)
        for out, channels, stride in zip(outs, model.out_channels, model.out_strides):
            assert out.shape[1] == channels and out.is_contiguous()
            assert all(length // 16 * 16 // stride <= side <= -(-length // stride) for side, length in zip(out.shape[2:], (72, 104)))
        sum(out.square().sum() for out in outs).backward()
        assert [key for key, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


def test_taps_are_the_raw_maps_behind_norms_and_resampling(column):
    """The weights of one serve the others, and the norms and transposed convolutions are all that is new."""
    taps, raw, one = (tiny(column, pyramid=pyramid) for pyramid in ('taps', 'raw', None))
    state = {key: value for key, value in taps.state_dict().items() if not key.startswith(('norm', 'resample'))}
    raw.load_state_dict(state)
    one.load_state_dict(state)
    x = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        levels, maps, (last, ) = taps(x), raw(x), one(x)
        assert torch.equal(maps[3], last)
        for i in range(4):
            expected = taps.finish(i, maps[i].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            torch.testing.assert_close(levels[i], expected)


def test_levels_of_part_of_a_column(column):
    """Blocks behind the last tap are not built, unless levels are made of the last map."""
    assert len(tiny(column, pyramid='taps', out_indices=(0, 1)).stages) == 2
    assert len(tiny(column, pyramid='last', out_indices=(0, 1)).stages) == 4
    for wrong in (dict(pyramid='fpn'), dict(pyramid=None, out_indices=(0, ))):
        with pytest.raises(ValueError, match='pyramid'):
            tiny(column, **wrong)
