"""Swin's windows against a formula, and the files of its pre-training methods."""
import pytest
import torch
import torch.nn.functional as F
from conftest import DATA, authors_state, build, read_record, tiny
from torch.torch_version import TorchVersion

from mmvit_backbones.checkpoints import CheckpointError, load_checkpoint
from mmvit_backbones.layers import RelativePositionBias, ShiftedWindowAttention, shifted_windows

TABLE = 'layers.{}.blocks.{}.attn.relative_position_bias_table'


@pytest.fixture(scope='module')
def state():
    """What the classifier's authors save."""
    record = read_record(DATA / 'swin/tiny.json')
    return {key: value for key, value in authors_state(record).items() if key not in record['dense_state']}


def attention_between_tokens(module, x, shift):
    """The attention of all tokens to all tokens, those that may not meet excluded: no windows are cut."""
    window = module.position.window[0]
    B, H, W, C = x.shape
    x = F.pad(x, (0, 0, 0, -W % window, 0, -H % window))
    Y, X = x.shape[1:3]
    y, col = ((torch.arange(side) - shift) % side for side in (Y, X))  # after the roll
    ends = [torch.stack([place // window, place >= side - shift]) for place, side in ((y, Y), (col, X))]
    ends = torch.stack([ends[0][0][:, None].expand(Y, X), ends[0][1][:, None].expand(Y, X),
                        ends[1][0].expand(Y, X), ends[1][1].expand(Y, X)]).flatten(1)
    meet = (ends[:, :, None] == ends[:, None]).all(0)
    row, col = (y % window)[:, None].expand(Y, X).flatten(), (col % window).expand(Y, X).flatten()
    offset = (row[:, None] - row + window - 1) * (2 * window - 1) + col[:, None] - col + window - 1
    bias = module.position.relative_position_bias_table[offset.where(meet, 0)].permute(2, 0, 1)
    q, k, v = module.qkv(x).view(B, Y * X, 3, module.num_heads, -1).permute(2, 0, 3, 1, 4)
    logits = q @ k.transpose(2, 3) * q.shape[-1]**-.5 + bias
    out = logits.masked_fill(~meet, -torch.inf).softmax(-1) @ v
    return module.proj(out.transpose(1, 2).reshape(B, Y, X, C)[:, :H, :W])


@torch.no_grad()
@pytest.mark.parametrize('shift', [0, 2])
@pytest.mark.parametrize('size', [(5, 5), (10, 15), (11, 8), (3, 12), (5, 6), (2, 4)])
def test_who_attends_to_whom(size, shift):
    torch.manual_seed(0)
    module = ShiftedWindowAttention(16, 2, RelativePositionBias((5, 5), 2))
    for p in module.parameters():
        torch.nn.init.normal_(p)
    x = torch.randn(2, *size, 16)
    padded = [-(-side // 5) * 5 for side in size]
    out = module(x, *shifted_windows((2, *padded), 5, shift, x.device))
    assert torch.allclose(out, attention_between_tokens(module, x, shift), atol=1e-4, rtol=1e-4)


PRETRAINED = {
    'moby': dict(online='encoder.', other={
        'encoder_k.norm.bias': (768, ), 'encoder_k.patch_embed.proj.weight': (96, 3, 4, 4), 'queue1': (256, 4),
        'projector.linear.weight': (4, 4), 'projector_k.linear.weight': (4, 4), 'predictor.linear.weight': (4, 4),
    }),
    'simmim': dict(online='encoder.', other={'encoder.mask_token': (1, 1, 96), 'decoder.0.weight': (3072, 768, 1, 1)}),
}  # yapf: disable


@pytest.mark.parametrize('method', PRETRAINED)
def test_files_of_pre_training_methods(tmp_path, state, method):
    prefix, other = PRETRAINED[method].values()
    saved = {prefix + key: value for key, value in state.items() if not key.startswith('head.')}
    saved.update({key: torch.full(shape, 7.) for key, shape in other.items()})
    torch.save(dict(model=saved, epoch=1), tmp_path / 'file.pth')
    model = build('swin/tiny')
    report = load_checkpoint(model, tmp_path / 'file.pth')
    assert report.complete and report.prefix == prefix
    assert {name.split('.')[0] for name in report.new} == {'norm0', 'norm1', 'norm2', 'norm3'}
    assert set(other) <= set(report.dropped)
    assert torch.equal(model.patch_embed.proj.weight, state['patch_embed.proj.weight'])
    assert torch.equal(model.stages[3].blocks[1].attn.qkv.weight, state['layers.3.blocks.1.attn.qkv.weight'])
    assert torch.equal(model.stages[2].downsample.reduction.weight, state['layers.1.downsample.reduction.weight'])


def test_tables_of_windows_of_12_in_windows_of_7(state):
    state = {key: value for key, value in state.items() if not key.endswith(('attn_mask', 'position_index'))}
    tables = {(i, j): TABLE.format(i, j) for i, depth in enumerate((2, 2, 6, 2)) for j in range(depth)}
    for key in tables.values():
        state[key] = torch.randn(23 * 23, state[key].shape[1])
    model = build('swin/tiny')
    model.load_state_dict(state)
    for (i, j), key in tables.items():
        maps = state[key].t().reshape(1, -1, 23, 23)
        expected = F.interpolate(maps, (13, 13), mode='bicubic', align_corners=False).reshape(-1, 169).t()
        assert torch.equal(model.stages[i].blocks[j].attn.position.relative_position_bias_table, expected)


def test_absolute_position_embedding_is_refused(state):
    with pytest.raises(CheckpointError, match='absolute_pos_embed'):
        build('swin/tiny').load_state_dict({**state, 'absolute_pos_embed': torch.ones(1, 3136, 96)})


@pytest.mark.long
@pytest.mark.skipif(torch.__version__ < TorchVersion('2.5'), reason='PyTorch 2.1 has no sizes that it finds by itself')
def test_trace_and_export_of_shifted_windows():
    model = tiny('swin/tiny', out_indices=(0, ))
    x = torch.randn(1, 3, 70, 101)
    size = {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    with torch.no_grad():
        expected, = model(x)
        assert torch.equal(torch.jit.trace(model, x)(x)[0], expected)
        assert torch.equal(torch.export.export(model, (x, ), dynamic_shapes=(size, )).module()(x)[0], expected)
