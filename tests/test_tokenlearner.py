"""TokenLearner: the authors' numbers, from their program's weights, and how a ViT becomes one."""
import re
from functools import lru_cache

import conftest
import pytest
import torch
from conftest import DATA, build, read_record, tiny
from mmengine.registry import MODELS
from parity import compare, fill, image

from mmvit_backbones import TokenLearnerViT
from mmvit_backbones.backbones.tokenlearner import ConvTokenLearner, TokenLearner
from mmvit_backbones.checkpoints import convert
from mmvit_backbones.engine import classifier

NAME = 'tokenlearner/tokenlearner_ti_16'
RECORD = read_record(DATA / 'tokenlearner' / 'logits.json')
NAMES = (
    (r'^embedding\.', 'patch_embed.proj.'),
    (r'^output_projection\.', 'head.'),
    (r'^Transformer\.posembed_input\.pos_embedding$', 'pos_embed'),
    (r'^Transformer\.encoder_norm\.', 'norm.'),
    (r'^Transformer\.encoderblock_', 'blocks.'),
    (r'^Transformer\.TokenLearnerModule(?:V11)?_(\d)\.', lambda match: f'blocks.{9 + int(match[1])}.learner.'),
    (r'^Transformer\.TokenFuser_(\d)\.', lambda match: f'blocks.{9 + int(match[1])}.fuser.'),
    (r'(learner|fuser)\.fuser_mix_', r'\1.'),
    (r'fuser\.Dense_0\.', 'fuser.mixing.'),
    (r'learner\.Conv_(\d)\.', lambda match: f'learner.convs.{2 * int(match[1])}.'),
    (r'(learner|fuser)\.LayerNorm_0\.', r'\1.masks.0.'),
    (r'\.token_masking\.Dense_(\d)\.', lambda match: f'.masks.{1 + 2 * int(match[1])}.'),
    (r'\.LayerNorm_(\d)\.', lambda match: f'.norm{1 + int(match[1])}.'),
    (r'\.MlpBlock_0\.Dense_(\d)\.', lambda match: f'.mlp.fc{1 + int(match[1])}.'),
    (r'\.MultiHeadDotProductAttention_0\.out\.', '.attn.proj.'),
    (r'\.MultiHeadDotProductAttention_0\.', '.attn.'),
    (r'\.(kernel|scale)$', '.weight'),
)
"""The authors' names to those of a ViT in PyTorch."""


def reshape(key, value):
    """A weight of Flax, whose linears have their outputs last and whose heads are an axis."""
    if key.endswith('bias'):
        return value.flatten()
    if not key.endswith('kernel'):
        return value
    if '.out.' in key:  # (heads, d, C)
        return value.flatten(0, 1).t()
    return value.permute(3, 2, 0, 1) if value.dim() == 4 else value.flatten(1).t()


@lru_cache(maxsize=None)
def weights():
    return {key: torch.from_numpy(fill(key, shape)).view(shape) for key, shape in RECORD['state'].items()}


def authors_state(case):
    """The weights of a case, under the names of a ViT in PyTorch."""
    state = {}
    for key, value in weights().items():
        if key.startswith(tuple(case['drop'])):
            continue
        name = key
        for pattern, replacement in NAMES:
            name = re.sub(pattern, replacement, name)
        state[name] = reshape(key, value)
    if case['mode'].startswith('v10'):
        state = {name.replace('learner.masks.0.', 'learner.norm.'): value for name, value in state.items()}
    for name in [name for name in state if '.query.' in name]:
        parts = [state.pop(name.replace('query', part)) for part in ('query', 'key', 'value')]
        state[name.replace('query', 'qkv')] = torch.cat(parts)
    return state


def arch(case):
    return dict(TokenLearnerViT.archs['tokenlearner_ti_16'], gelu='tanh', fuse=case['mode'].endswith('fuser'),
                version='1.0' if case['mode'].startswith('v10') else '1.1')


@pytest.mark.parametrize('case', RECORD['cases'], ids=[case['mode'] for case in RECORD['cases']])
def test_numbers(device, case):
    state = authors_state(case)
    x = torch.from_numpy(image(case['input'], case['input_seed'])).to(device)
    model = MODELS.build(classifier(NAME, num_classes=case['logits']['shape'][1], arch=arch(case))).eval()
    assert sum(p.numel() for p in model.parameters()) == case['params']
    model.load_state_dict(state)
    with torch.no_grad():
        logits = model.to(device)(x, mode='tensor')
    assert compare(logits[:, :, None, None].cpu().numpy(), case['logits']) < 1e-4
    if 'map' in case:
        model = build(NAME, arch=arch(case), pyramid=None)
        model.load_state_dict(state)
        with torch.no_grad():
            out, = model.to(device)(x)
        assert compare(out.cpu().numpy(), case['map']) < 1e-4


@pytest.mark.parametrize('size', [224, 384])
def test_a_vit_is_where_it_starts_from(size):
    """Its weights load, but for the class token, and blocks on learned tokens leave the map as it is."""
    state = conftest.authors_state(read_record(DATA / 'vit' / f'vit_tiny_patch16_{size}.json'))
    model = build(NAME, pyramid='raw', out_norm=False)
    _, report = convert(model, state)
    assert {'cls_token', 'head.weight', 'head.bias'} <= set(report.dropped)
    assert list(report.resized) == ['patch_embed.pos_embed']
    assert report.new and all('.learner.' in name or '.fuser.' in name for name in report.new)
    model.load_state_dict(state)
    assert model.stages[3].blocks[2].mlp.fc1.weight.equal(state['blocks.11.mlp.fc1.weight'])
    with torch.no_grad():
        maps = model(torch.randn(1, 3, 64, 96))
    assert torch.equal(maps[3], maps[2])


def test_blocks_learn_from_the_identity():
    """Initialised at random, too; the first step moves what mixes the tokens, and the second one the blocks."""
    model = tiny(NAME, pyramid=None)
    model.init_weights()
    block = model.stages[3].blocks[0]
    images = torch.randn(1, 3, 64, 64)
    optimizer = torch.optim.SGD(model.parameters(), 1e-4)
    for moves in (False, True):
        optimizer.zero_grad()
        model(images)[0].square().sum().backward()
        assert block.fuser.mixing.weight.grad.any()
        assert bool(block.mlp.fc1.weight.grad.any()) == moves
        optimizer.step()


def test_sums_of_one_version_do_not_grow_with_the_map():
    x = torch.ones(1, 12, 8)
    act = torch.nn.GELU()
    with torch.no_grad():
        assert torch.allclose(TokenLearner(8, 3, act)(x, (3, 4)), torch.ones(1, 3, 8))
        learner = ConvTokenLearner(8, 3, act)
        learner.convs[-1].weight.zero_()
        assert torch.allclose(learner(x, (3, 4)), torch.full((1, 3, 8), 6.))  # sigmoids of zero


@pytest.mark.parametrize('options, message', [
    (dict(version=1.1), "arch.'version'. to be one of"),
    (dict(gelu='exact'), "arch.'gelu'. to be one of"),
    (dict(fuse=False), "arch.'fuse'.=True with maps"),
])
def test_wrong_keys(options, message):
    with pytest.raises(ValueError, match=message):
        build(NAME, arch=dict(TokenLearnerViT.archs['tokenlearner_ti_16'], **options))
