"""Our numbers are the authors'."""
import pytest
import torch
from conftest import authors_state, backbone_class, build, is_column, read_record, records
from parity import compare, image

from mmvit_backbones.checkpoints import convert

OPTIONS = {
    'dwnet': lambda case: dict.fromkeys(('out_norm', 'padding'), 'after norm0' in case['note']),
    'msg_transformer': lambda case: dict(shuffle_sizes=case['shuffle_sizes']),
    'rest': lambda case: dict(out_indices=case.get('out_indices', (0, 1, 2, 3))),
    'twins_svt': lambda case: dict(padding=case['mode']),
}
"""{family: from a case to the options of the backbone that it was recorded with}"""

DTYPES = {'rest': torch.float64, 'sg_former': torch.float64}
"""{family: dtype of the comparison, where it is not float32}. SG-Former sorts tokens by nearly equal numbers: in float32
a rounding error changes their order. ResT divides differences of attention weights by their deviation: in float32 the
authors' own formulas are as far from those in float64 as from the tolerance."""

LISTS = ('cases', 'derived_cases', 'extra_cases')
CASES = [(name, path, kind, i) for name, path in records() if not is_column(name) for kind in LISTS
         for i in range(len(read_record(path).get(kind, ())))]


@pytest.mark.parametrize('name, path', records(), ids=[name for name, _ in records()])
def test_every_key_of_the_authors_is_accounted_for(name, path):
    record = read_record(path)
    with torch.device('meta'):
        model = build(name)
    state = {key: torch.empty(shape, device='meta') for key, shape in {**record['state'], **record.get('dense_state', {})}.items()}
    loaded, report = convert(model, state)
    assert report.complete and set(loaded) | set(report.new) == set(model.state_dict())
    assert len(report.loaded) + len(report.dropped) == len(state)
    assert all(name.startswith(('norm', 'resample')) for name in report.new)


@pytest.mark.parametrize('name, path, kind, i', CASES, ids=[f'{case[0]}-{case[2]}-{case[3]}' for case in CASES])
def test_numbers(device, name, path, kind, i):
    record = read_record(path)
    case = record[kind][i]
    options = dict(out_norm=bool(record.get('dense_state'))) if backbone_class(name).norms == 'out' else {}
    options.update(OPTIONS.get(record['family'], lambda case: {})(case))
    model = build(name, **options)
    model.load_state_dict(authors_state(record, case))
    dtype = DTYPES.get(record['family'], torch.float32)
    with torch.no_grad():
        outs = model.to(device, dtype)(torch.from_numpy(image(case['input'], case['input_seed'])).to(device, dtype))
    assert len(outs) == len(case['outputs'])
    for level, (out, expected) in enumerate(zip(outs, case['outputs'])):
        assert compare(out.cpu().numpy(), expected) < 1e-4, f'level {level}'
