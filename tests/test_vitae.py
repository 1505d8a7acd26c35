"""ViTAE: the authors' numbers at the places that its pyramids are made of, and what no record shows."""
import pytest
import torch
from conftest import DATA, authors_state, build, read_record, tiny
from parity import compare, image
from torch import nn

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
