"""ViT: its files, the windows of ViTDet against a formula, and what training sets."""
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import DATA, ROOT, build, read_record
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS
from torch import nn

from mmvit_backbones import VisionTransformer
from mmvit_backbones.checkpoints import CheckpointError, convert, load, load_checkpoint, read_checkpoint
from mmvit_backbones.engine import classifier

ARCH = dict(dims=(32, ) * 4, depths=(1, 1, 1, 1), num_heads=2, mlp_ratio=4, grid=14)
FLAX = (
    (r'^cls_token$', 'cls', lambda x: x),
    (r'^pos_embed$', 'Transformer/posembed_input/pos_embedding', lambda x: x),
    (r'^patch_embed\.proj\.weight$', 'embedding/kernel', lambda x: x.transpose(2, 3, 1, 0)),
    (r'^patch_embed\.proj\.bias$', 'embedding/bias', lambda x: x),
    (r'^blocks\.(\d+)\.norm1\.weight$', r'Transformer/encoderblock_\1/LayerNorm_0/scale', lambda x: x),
    (r'^blocks\.(\d+)\.norm1\.bias$', r'Transformer/encoderblock_\1/LayerNorm_0/bias', lambda x: x),
    (r'^blocks\.(\d+)\.norm2\.weight$', r'Transformer/encoderblock_\1/LayerNorm_2/scale', lambda x: x),
    (r'^blocks\.(\d+)\.norm2\.bias$', r'Transformer/encoderblock_\1/LayerNorm_2/bias', lambda x: x),
    (r'^blocks\.(\d+)\.attn\.(query|key|value)\.weight$',
     r'Transformer/encoderblock_\1/MultiHeadDotProductAttention_1/\2/kernel', lambda x: x.T.reshape(32, 2, 16)),
    (r'^blocks\.(\d+)\.attn\.(query|key|value)\.bias$',
     r'Transformer/encoderblock_\1/MultiHeadDotProductAttention_1/\2/bias', lambda x: x.reshape(2, 16)),
    (r'^blocks\.(\d+)\.attn\.proj\.weight$', r'Transformer/encoderblock_\1/MultiHeadDotProductAttention_1/out/kernel',
     lambda x: x.T.reshape(2, 16, 32)),
    (r'^blocks\.(\d+)\.attn\.proj\.bias$', r'Transformer/encoderblock_\1/MultiHeadDotProductAttention_1/out/bias',
     lambda x: x),
    (r'^blocks\.(\d+)\.mlp\.fc1\.weight$', r'Transformer/encoderblock_\1/MlpBlock_3/Dense_0/kernel', lambda x: x.T),
    (r'^blocks\.(\d+)\.mlp\.fc1\.bias$', r'Transformer/encoderblock_\1/MlpBlock_3/Dense_0/bias', lambda x: x),
    (r'^blocks\.(\d+)\.mlp\.fc2\.weight$', r'Transformer/encoderblock_\1/MlpBlock_3/Dense_1/kernel', lambda x: x.T),
    (r'^blocks\.(\d+)\.mlp\.fc2\.bias$', r'Transformer/encoderblock_\1/MlpBlock_3/Dense_1/bias', lambda x: x),
    (r'^norm\.weight$', 'Transformer/encoder_norm/scale', lambda x: x),
    (r'^norm\.bias$', 'Transformer/encoder_norm/bias', lambda x: x),
    (r'^head\.weight$', 'head/kernel', lambda x: x.T),
    (r'^head\.bias$', 'head/bias', lambda x: x),
)
"""(key of a port, key of Flax, from the values of one to those of the other) for `ARCH`"""


def vit(**options):
    return build('vit/vit_tiny_patch16_224', **dict(dict(arch=ARCH), **options))


def randomise(model):
    """Weights in which no two values are equal."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(std=.3, generator=generator)
    return model


@pytest.fixture(scope='module')
def state():
    """What a port of `ARCH` saves, classifier included."""
    shapes = {'cls_token': (1, 1, 32), 'pos_embed': (1, 197, 32), 'patch_embed.proj.weight': (32, 3, 16, 16),
              'patch_embed.proj.bias': (32, ), 'norm.weight': (32, ), 'norm.bias': (32, ), 'head.weight': (10, 32),
              'head.bias': (10, )}
    for i in range(4):
        for name, shape in (('norm1', (32, )), ('attn.qkv', (96, 32)), ('attn.proj', (32, 32)), ('norm2', (32, )),
                            ('mlp.fc1', (128, 32)), ('mlp.fc2', (32, 128))):
            shapes.update({f'blocks.{i}.{name}.weight': shape, f'blocks.{i}.{name}.bias': shape[:1]})
    generator = torch.Generator().manual_seed(0)
    return {key: torch.randn(shape, generator=generator) for key, shape in shapes.items()}


# Files.


def to_flax(state, root=''):
    split = {}
    for key, value in state.items():
        if '.qkv.' in key:
            split.update({key.replace('qkv', part): x for part, x in zip(('query', 'key', 'value'), value.chunk(3))})
        else:
            split[key] = value
    found = {}
    for key, value in split.items():
        pattern, name, turn = next(rule for rule in FLAX if re.search(rule[0], key))
        found[root + re.sub(pattern, name, key)] = turn(value.numpy())
    return found


@pytest.mark.parametrize('root', ['', 'opt/target/', 'params/'])
def test_files_of_flax(root, state, tmp_path):
    arrays = to_flax(state, root)
    if root:
        arrays['opt/state/step'] = np.array(3)
    arrays = {key: np.asfortranarray(value) if 'fc1' in key else value for key, value in arrays.items()}
    np.savez(tmp_path / 'x.npz', **arrays)
    found = read_checkpoint(tmp_path / 'x.npz')
    assert found.keys() - {'opt/state/step'} == state.keys()
    assert all(torch.equal(found[key], value) for key, value in state.items())
    model = vit(pyramid=None)
    report = load_checkpoint(model, tmp_path / 'x.npz')
    assert report.new == [] and set(report.dropped) == {'head.weight', 'head.bias', *(['opt/state/step'] if root else [])}
    assert torch.equal(model.stages[2].blocks[0].attn.qkv.weight, state['blocks.2.attn.qkv.weight'])
    whole = MODELS.build(classifier('vit/vit_tiny_patch16_224', arch=ARCH, num_classes=10,
                                    init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'x.npz'))))
    whole.init_weights()
    assert torch.equal(whole.head.fc.weight, state['head.weight'])


def test_timm_reads_the_same_in_a_file_of_flax(state, tmp_path):
    timm = pytest.importorskip('timm')
    np.savez(tmp_path / 'x.npz', **to_flax(state))
    theirs = timm.create_model('vit_tiny_patch16_224', embed_dim=32, depth=4, num_heads=2, num_classes=10)
    theirs.load_pretrained(str(tmp_path / 'x.npz'))
    assert {key for key, value in theirs.state_dict().items() if torch.equal(value, state[key])} == state.keys()


@pytest.mark.parametrize('change, message', [
    (lambda arrays: arrays.pop('Transformer/encoderblock_1/MultiHeadDotProductAttention_1/key/kernel'),
     r'1 missing \(stages.1.blocks.0.attn.qkv.weight\); 2 unexplained'),
    (lambda arrays: arrays.update({'Transformer/encoderblock_0/Other_4/kernel': np.ones((2, 2))}), '1 unexplained'),
    (lambda arrays: arrays.update({'Transformer/encoderblock_4/LayerNorm_0/scale': np.ones(32)}), '1 unexplained'),
    (lambda arrays: arrays.update({'embedding/kernel': np.ones((16, 16, 3))}), 'of another shape'),
    (lambda arrays: arrays.update({'Transformer/encoderblock_0/MultiHeadDotProductAttention_1/query/bias': np.ones(())}),
     'unexplained'),
    (lambda arrays: arrays.update({'cls': np.array([1, 2])}), 'int64, not float32'),
])
def test_files_of_flax_are_accounted_for(change, message, state, tmp_path, monkeypatch):
    monkeypatch.setattr(load, 'identify', lambda checkpoint: [])  # which builds all models
    arrays = to_flax(state)
    change(arrays)
    np.savez(tmp_path / 'x.npz', **arrays)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(vit(), tmp_path / 'x.npz')


def test_what_pretraining_leaves_in_files(state):
    """The decoder of MAE, heads and norms of others: dropped by name; all else is as in any file."""
    trunk = {key: value for key, value in state.items() if not key.startswith('head.')}
    decoder = {'mask_token': (1, 1, 16), 'decoder_pos_embed': (1, 197, 16), 'decoder_embed.weight': (16, 32),
               'decoder_blocks.0.norm1.weight': (16, ), 'decoder_norm.bias': (16, ), 'decoder_pred.weight': (768, 16)}
    for other in (decoder, {}, {'pre_logits.fc.weight': (32, 32), 'head.weight': (21843, 32)}, {'fc_norm.weight': (32, )}):
        model = vit(pyramid='raw')
        found, report = convert(model, dict(model={**trunk, **{key: torch.ones(shape) for key, shape in other.items()}}))
        assert set(report.dropped) == set(other) and report.new == [] and found.keys() == model.state_dict().keys()
        assert torch.equal(found['stages.3.norm.weight'], state['norm.weight'])


# Windows.


def plain_attention(attn, x):
    """The attention of all tokens of a map (B, h, w, C) by the formula."""
    B, h, w, _ = x.shape
    q, k, v = attn.qkv(x).view(B, h * w, 3, attn.num_heads, -1).permute(2, 0, 3, 1, 4)
    rows, cols = torch.arange(h).repeat_interleave(w), torch.arange(w).repeat(h)
    logits = q * q.shape[-1]**-.5 @ k.transpose(2, 3)
    for table, place, side in ((attn.position.rel_pos_h, rows, h), (attn.position.rel_pos_w, cols, w)):
        if len(table) != 2 * side - 1:
            table = F.interpolate(table.t()[None], 2 * side - 1, mode='linear')[0].t()
        logits = logits + torch.einsum('bnqd,qkd->bnqk', q, table[place[:, None] - place + side - 1])  # q without a scale
    out = logits.softmax(-1) @ v
    return attn.proj(out.transpose(1, 2).reshape(x.shape))


def plain_block(block, x):
    """A block of ViTDet on a map (B, H, W, C), window by window."""
    window, y = block.attn.window, block.norm1(x)
    H, W = x.shape[1:3]
    if window is None:
        out = plain_attention(block.attn, y)
    else:
        y = F.pad(y, (0, 0, 0, -W % window, 0, -H % window))  # behind the norm: the tokens are zeros
        out = torch.zeros_like(y)
        for top in range(0, H, window):
            for left in range(0, W, window):
                part = ..., slice(top, top + window), slice(left, left + window), slice(None)
                out[part] = plain_attention(block.attn, y[part])
    x = x + out[:, :H, :W]
    return x + block.mlp(block.norm2(x))


@torch.no_grad()
@pytest.mark.parametrize('size', [(112, 80), (96, 48)])
def test_windows(size):
    """Blocks in windows and one of all tokens, whose tables are interpolated; where the windows fit and where they do not."""
    model = randomise(vit(window=3, global_blocks=(1, ), pyramid='raw', out_norm=False))
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    outs = model(images)
    stem = model.patch_embed
    table = stem.pos_embed.view(1, 14, 14, 32).permute(0, 3, 1, 2)
    x = F.conv2d(images, stem.proj.weight, stem.proj.bias, stride=16)
    x = (x + F.interpolate(table, x.shape[2:], mode='bicubic')).permute(0, 2, 3, 1)
    for out, stage in zip(outs, model.stages):
        x = plain_block(stage.blocks[0], x)
        assert torch.allclose(out.permute(0, 2, 3, 1), x, atol=1e-4 * x.std())
    assert [stage.blocks[0].attn.window for stage in model.stages] == [3, None, 3, 3]
    assert [len(stage.blocks[0].attn.position.rel_pos_h) for stage in model.stages] == [5, 127, 5, 5]


def test_a_classifier_becomes_a_detector(state):
    """The class token goes, with its position; relative positions are new, and the norm is not read."""
    model = vit(window=14, global_blocks=(3, ), pyramid='last')
    found, report = convert(model, state)
    assert set(report.dropped) == {'cls_token', 'norm.weight', 'norm.bias', 'head.weight', 'head.bias'}
    assert torch.equal(found['patch_embed.pos_embed'], state['pos_embed'][:, 1:])
    new = {key for key in model.state_dict() if 'rel_pos' in key or key.startswith('resample')}
    assert set(report.new) == new and len(new) == 8 + 8 and report.complete
    other = convert(vit(arch=dict(ARCH, grid=24), window=14, pyramid='last'), state)[0]
    table = state['pos_embed'][:, 1:].view(1, 14, 14, 32).permute(0, 3, 1, 2)
    expected = F.interpolate(table, (24, 24), mode='bicubic').permute(0, 2, 3, 1).flatten(1, 2)
    assert torch.allclose(other['patch_embed.pos_embed'], expected, atol=1e-5)


def test_files_of_detectron2(monkeypatch):
    monkeypatch.setattr(load, 'identify', lambda checkpoint: [])
    model = randomise(vit(window=14, global_blocks=(3, ), pyramid='last'))
    file = {'proposal_generator.rpn_head.conv.weight': torch.ones(1)}
    for level, parts in ((2, (4, 5)), (3, (1, 2)), (4, (0, 1)), (5, (1, 2))):
        for i in parts:
            file.update({f'backbone.simfp_{level}.{i}.{leaf}': torch.ones(1) for leaf in ('weight', 'norm.bias')})
    heads = set(file)
    for key, value in model.state_dict().items():
        name = re.sub(r'^stages\.(\d)\.blocks\.0\.', r'net.blocks.\1.', key.replace('.position.', '.'))
        for own, theirs in (('resample0.', 'simfp_2.'), ('resample1.', 'simfp_3.0.'), ('patch_embed.', 'net.patch_embed.')):
            name = name.replace(own, theirs)
        if key == 'patch_embed.pos_embed':
            name, value = 'net.pos_embed', torch.cat([torch.ones(1, 1, 32), value], 1)
        file[f'backbone.{name}'] = value
    other = vit(window=14, global_blocks=(3, ), pyramid='last')
    found, report = convert(other, dict(model=file))
    assert report.new == [] and set(report.dropped) == heads
    assert all(torch.equal(found[key], value) for key, value in model.state_dict().items())
    with pytest.raises(CheckpointError, match='rel_pos'):  # attention of all tokens is another function
        convert(vit(), dict(model=file))


@pytest.mark.parametrize('options', [
    dict(global_blocks=(1, )),
    dict(window=14, global_blocks=(2, 4)),
    dict(window=14, global_blocks=(-1, )),
])
def test_global_blocks_are_blocks(options):
    with pytest.raises(ValueError, match='global_blocks to be numbers of blocks, beside a window'):
        vit(**options)
    with pytest.raises(ValueError, match='a window of at least one token'):
        vit(window=0)


# Training.


@pytest.mark.parametrize('name', VisionTransformer.archs)
def test_sizes(name):
    record = read_record(DATA / f'vit/{name}.json')
    with torch.device('meta'):
        model = build(f'vit/{name}', out_type='pooled')
    head = sum(torch.Size(shape).numel() for key, shape in record['state'].items() if key.startswith('head.'))
    assert sum(p.numel() for p in model.parameters()) == record['params'] - head


def test_training():
    model = vit(arch=dict(ARCH, depths=(3, 3, 3, 3)), drop_path_rate=.11)
    assert model.no_weight_decay() == {'patch_embed.pos_embed', 'patch_embed.cls_token'}
    norms = [module for module in model.modules() if isinstance(module, nn.LayerNorm)]
    assert len(norms) == 24 + 4 + 1 and all(norm.eps == 1e-6 for norm in norms)
    rates = [block.drop_path.rate for stage in model.stages for block in stage.blocks]
    assert rates == pytest.approx([.01 * i for i in range(12)])
    depths = {'patch_embed.pos_embed': 0, 'patch_embed.cls_token': 0, 'patch_embed.proj.weight': 0,
              'stages.0.blocks.0.norm1.bias': 1, 'stages.2.blocks.1.mlp.fc1.weight': 8,
              'stages.3.blocks.2.attn.qkv.bias': 12, 'stages.3.norm.weight': 13, 'norm0.weight': 13, 'resample1.weight': 13}
    assert {name: model.layer_depth(name) for name in depths} == depths and model.num_layers == 14
    assert depths.keys() <= {name for name, _ in model.named_parameters()}


def test_random_weights():
    model = vit(arch=dict(ARCH, dims=(128, ) * 4), window=14, global_blocks=(3, ), pyramid='last')
    plain = vit(arch=dict(ARCH, dims=(128, ) * 4))
    for each in (model, plain):
        each.init_weights()
    for name, p in model.named_parameters():
        if name.startswith('stages') and name.endswith('weight') and p.dim() == 2 or name.endswith('pos_embed'):
            assert p.std().item() == pytest.approx(.02, rel=.1), name
        elif 'rel_pos' in name or name.startswith('stages') and name.endswith('bias'):
            assert not p.any(), name
    assert plain.patch_embed.cls_token.std().item() == pytest.approx(.02, rel=.3)
    proj = model.patch_embed.proj.weight  # PyTorch's
    assert proj.abs().max() <= 768**-.5 and proj.std().item() == pytest.approx((3 * 768)**-.5, rel=.05)


# Detectors.


def test_optimizer_of_vitdet():
    """Learning rates fall from layer to layer; norms and absolute positions do not decay, relative ones do."""
    pytest.importorskip('mmdet')
    cfg = Config.fromfile(ROOT / 'configs/maskrcnn_vit_b_100ep_coco.py')
    backbone = vit(window=14, global_blocks=(3, ), pyramid='last')
    model = nn.ModuleDict(dict(backbone=backbone, neck=MODELS.build(dict(cfg.model.neck, in_channels=[8, 16, 32, 32]))))
    names = {id(p): name for name, p in model.named_parameters()}
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    found = {names[id(group['params'][0])]: (group['lr'] / 1e-4, group['weight_decay']) for group in groups}
    expected = {
        'backbone.patch_embed.proj.weight': (.7**5, .1), 'backbone.patch_embed.pos_embed': (.7**5, 0),
        'backbone.stages.0.blocks.0.attn.qkv.bias': (.7**4, .1), 'backbone.stages.3.blocks.0.norm2.weight': (.7, 0),
        'backbone.stages.3.blocks.0.attn.position.rel_pos_h': (.7, .1), 'backbone.resample0.0.weight': (1, .1),
        'backbone.resample0.1.weight': (1, 0), 'neck.levels.2.0.weight': (1, .1), 'neck.levels.2.1.bias': (1, 0),
    }
    assert found.keys() == set(names.values())
    assert {name: found[name] for name in expected} == {name: pytest.approx(values) for name, values in expected.items()}


def test_simple_feature_pyramid():
    """Each level as detectron2's formula has it, whatever lies in the others, and one level more."""
    torch.manual_seed(0)
    kind = dict(type='mmvit_backbones.SimpleFeaturePyramid', in_channels=[8, 16, 32, 32])
    neck = randomise(MODELS.build(dict(kind, out_channels=24)))
    inputs = [torch.randn(2, dim, side, side + 2) for dim, side in zip((8, 16, 32, 32), (16, 8, 4, 2))]

    def norm(x, module):
        mean = x.mean(1, keepdim=True)
        x = (x - mean) / ((x - mean).square().mean(1, keepdim=True) + 1e-6).sqrt()
        return x * module.weight[:, None, None] + module.bias[:, None, None]

    with torch.no_grad():
        outs = neck(inputs)
        for out, x, (conv1, norm1, conv2, norm2) in zip(outs, inputs, neck.levels):
            x = norm(F.conv2d(x, conv1.weight), norm1)
            x = norm(F.conv2d(x, conv2.weight, padding=1), norm2)
            assert torch.allclose(out, x, atol=1e-4) and out.is_contiguous()
    assert len(outs) == 5 and torch.equal(outs[4], outs[3][..., ::2, ::2])
    with pytest.raises(ValueError, match='expects 4 levels, but got 3'):
        neck(inputs[1:])
    with pytest.raises(ValueError, match='num_outs of at least 4'):
        MODELS.build(dict(kind, num_outs=3))
