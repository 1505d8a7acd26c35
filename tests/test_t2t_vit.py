"""T2T-ViT: the authors' numbers at the places that its pyramid is made of, and the pyramid."""
import pytest
import torch
from conftest import DATA, authors_state, build, read_record
from parity import compare, image

from mmvit_backbones.backbones.t2t_vit import sinusoid

RECORDS = ('t2t_vit_7', 't2t_vit_t_14')
CASES = [(name, kind, i) for name in RECORDS for kind in ('cases', 'derived_cases')
         for i in range(len(read_record(DATA / f't2t_vit/{name}.json')[kind]))]


@pytest.mark.parametrize('name, kind, i', CASES)
def test_numbers(name, kind, i):
    record = read_record(DATA / f't2t_vit/{name}.json')
    case = record[kind][i]
    model = build(f't2t_vit/{name}', out_norm=False)
    state = authors_state(record, case)
    model.load_state_dict({**state, 'pos_embed': sinusoid(*state['pos_embed'].shape[1:])})
    found = {}
    model.stages[2].downsample.register_forward_hook(lambda *call: found.update(project=call[-1].permute(0, 3, 1, 2)))
    with torch.no_grad():
        found['token1'], found['token2'], found['norm'], pooled = model(torch.from_numpy(image(case['input'], case['input_seed'])))
    for expected in case['outputs']:
        if not expected['name'].startswith('soft_split'):  # the patches, which are never copied out
            assert compare(found.pop(expected['name']).numpy(), expected) < 1e-4, expected['name']
    assert not found
    assert pooled.shape[2:] == tuple(-(-side // 2) for side in expected['shape'][2:])
