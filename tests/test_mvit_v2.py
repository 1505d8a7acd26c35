"""What MViTv2 has of its own."""
import pytest
import torch
from conftest import DATA, build, read_record, records
from torch import nn

from mmvit_backbones.checkpoints import CheckpointError, convert, identify


def meta(name, **options):
    with torch.device('meta'):
        return build(f'mvit_v2/{name}', **options)


def shapes(name):
    """The authors' whole file of a variant, without values."""
    state = read_record(DATA / 'mvit_v2' / f'{name}.json')['state']
    return {key: torch.empty(shape, device='meta') for key, shape in state.items()}


@pytest.mark.parametrize('name', [name for name, _ in records('mvit_v2')])
def test_sizes(name):
    record = read_record(DATA / f'{name}.json')
    model, classifier = [meta(record['variant'], out_type=kind) for kind in ('featmap', 'pooled')]
    assert sum(p.numel() for p in model.parameters()) == record['dense_params']
    head = sum(torch.Size(shape).numel() for key, shape in record['state'].items() if key.startswith('head.'))
    assert sum(p.numel() for p in classifier.parameters()) == record['params'] - head
    for module in (*model.modules(), *classifier.modules()):
        assert not isinstance(module, nn.LayerNorm) or module.eps == 1e-6


def test_windows_and_strides():
    """Of each block: window, stride of the queries, stride of the keys; the classifier has no windows."""

    def settings(model):
        attns = [[block.attn for block in stage.blocks] for stage in model.stages]
        return [[(attn.window, attn.pool_q.stride[0], attn.pool_k.stride[0]) for attn in stage] for stage in attns]

    assert settings(meta('base')) == [
        [(56, 1, 4)] * 2,
        [(56, 2, 2), (28, 1, 2), (None, 1, 4)],
        [(28, 2, 1), *[(14, 1, 1)] * 14, (None, 1, 2)],
        [(14, 2, 1), (7, 1, 1), (None, 1, 1)],
    ]
    assert settings(meta('base', out_type='pooled')) == [
        [(None, 1, 4)] * 2,
        [(None, 2, 2), *[(None, 1, 2)] * 2],
        [(None, 2, 1), *[(None, 1, 1)] * 15],
        [(None, 2, 1), *[(None, 1, 1)] * 2],
    ]


def test_training():
    """Tables of positions start from zeros and do not decay in dense models; in classifiers they are random, and do."""
    models = [build('mvit_v2/base_in21k', arch='tiny', out_type=kind) for kind in ('featmap', 'pooled')]
    for model in models:
        model.init_weights()
    tables = [{name: p for name, p in model.named_parameters() if 'rel_pos' in name} for model in models]
    assert len(tables[0]) == 2 * 10
    assert models[0].no_weight_decay() == set(tables[0]) and models[1].no_weight_decay() == set()
    assert all(table.count_nonzero() == 0 for table in tables[0].values())
    assert all(.01 < table.std() < .03 for table in tables[1].values())


def test_the_class_token_is_the_classifiers():
    """Dense models leave it out; a classifier has it or not, and takes no file of the other kind."""
    state = shapes('base_in21k')
    assert 'cls_token' in convert(meta('base_in21k'), state)[1].dropped
    assert convert(meta('base_in21k', out_type='pooled'), state)[1].new == []
    with pytest.raises(CheckpointError, match=r'1 unexplained \(cls_token\)'):
        convert(meta('base', out_type='pooled'), state)
    with pytest.raises(CheckpointError, match=r'1 missing \(patch_embed.cls_token\)'):
        convert(meta('base_in21k', out_type='pooled'), shapes('base'))


def test_blocks_are_counted_through_all_stages():
    report = convert(meta('small', out_indices=(0, 1)), shapes('small'))[1]
    assert report.complete
    assert 'blocks.3.norm1.weight' in report.dropped and 'blocks.2.norm1.weight' not in report.dropped
    assert identify(shapes('small')) == ['mvit_v2/small']


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_the_layout_of_large_is_refused(prefix):
    with pytest.raises(ValueError, match="no variant 'large': it widens its channels in the last MLP of a stage"):
        build('mvit_v2/tiny', arch='large')
    moved = {f'blocks.{i + 1}.proj.': f'blocks.{i}.proj.' for i in (1, 7, 43)}
    state = {}
    for key, value in shapes('large_in21k').items():
        start = next((start for start in moved if key.startswith(start)), '')
        state[prefix + moved.get(start, '') + key[len(start):]] = value
    with pytest.raises(CheckpointError, match='holds mvit_v2/large, and nothing was loaded: it widens its channels'):
        convert(meta('large_in21k'), state)
    with pytest.raises(CheckpointError, match='It looks like mvit_v2/large_in21k'):
        convert(meta('tiny'), shapes('large_in21k'))


@torch.no_grad()
def test_padded_keys_take_part():
    """In a window that is padded a key without content still has a position; windows hold what the pooling saw."""
    torch.manual_seed(0)
    attn = build('mvit_v2/tiny').stages[1].blocks[1].attn
    attn.window = 8
    for table in attn.position.parameters():
        nn.init.normal_(table)
    x = torch.randn(1, 8, 6, 192)
    parts = [attn.pool(part, pool, norm, None) for part, pool, norm in zip(
        attn.qkv(x).chunk(3, -1), (attn.pool_q, attn.pool_k, attn.pool_v), (attn.norm_q, attn.norm_k, attn.norm_v))]
    q, k, v = [part.unflatten(-1, (2, 96)).permute(0, 3, 1, 2, 4) for part in parts]
    stride = attn.pool_k.stride[0]
    k, v = [nn.functional.pad(part, (0, 0, 0, 8 // stride - part.shape[3])) for part in (k, v)]
    logits = (96**-.5 * q).flatten(2, 3) @ k.flatten(2, 3).mT
    rows, cols = [attn.position.offsets(table, 8, 8 // stride) for table in attn.position.parameters()]
    logits = logits.unflatten(3, (8 // stride, -1)).unflatten(2, (8, 6))
    logits = logits + torch.einsum('bnyxd,ykd->bnyxk', q, rows).unsqueeze(5)
    logits = logits + torch.einsum('bnyxd,xkd->bnyxk', q, cols[:6]).unsqueeze(4)
    expected = logits.flatten(4).flatten(2, 3).softmax(-1) @ v.flatten(2, 3)
    expected = attn.proj(expected.transpose(1, 2).reshape(1, 8, 6, 192) + parts[0])
    torch.testing.assert_close(attn(x), expected, atol=1e-5, rtol=1e-4)
