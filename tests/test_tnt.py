"""TNT: what no record shows."""
import pytest
import torch
import torch.nn.functional as F
from conftest import DATA, authors_state, build, read_record, tiny
from torch import nn

from mmvit_backbones.backbones.tnt import ImageWords, PatchWords
from mmvit_backbones.checkpoints import convert


def test_words_are_a_convolution_of_each_patch_alone():
    torch.manual_seed(0)
    words, images = PatchWords(3, 5), torch.randn(2, 48, 32, 3)
    patches = images.unflatten(1, (3, 16)).unflatten(3, (2, 16)).permute(0, 1, 3, 5, 2, 4).flatten(0, 2)
    expected = F.conv2d(patches, words.weight, words.bias, stride=4, padding=3).flatten(2).transpose(1, 2) + words.pos_embed
    torch.testing.assert_close(words(images), expected.view(2, 3, 2, 16, 5))


@pytest.mark.parametrize('words, sees', [(PatchWords, False), (ImageWords, True)])
def test_whether_words_see_the_patch_above(words, sees):
    torch.manual_seed(0)
    words, image = words(3, 5), torch.randn(1, 32, 32, 3)
    other = image.clone()
    other[:, :16] += 1
    assert words(image)[:, 1].equal(words(other)[:, 1]) != sees


def test_words_are_added_to_sentences_alone_and_never_dropped():
    model = tiny('tnt/tnt_ti', drop_path_rate=.9).train()
    block = model.stages[3].blocks[-1]
    block.outer = nn.Identity()
    block.outer.forward = lambda x, size: x
    block.inner = nn.Identity()
    sentences, words = torch.randn(2, 7, 192), torch.randn(12, 16, 12)
    before = sentences.clone()
    out, _ = block((sentences, words), (2, 3))
    assert out[:, 0].equal(sentences[:, 0]) and sentences.equal(before)
    torch.testing.assert_close(out[:, 1:], sentences[:, 1:] + block.inject(words).view(2, 6, 192))


def test_words_of_a_sentence_are_dropped_together():
    torch.manual_seed(0)
    inner = tiny('tnt/tnt_ti', drop_path_rate=.5).train().stages[3].blocks[-1].inner
    words = torch.randn(64, 16, 12)
    kept = (inner(words) != words).flatten(1)
    assert set(kept.any(1).tolist()) == {False, True} and kept.any(1).equal(kept.all(1))


@pytest.mark.parametrize('name', ['tnt_ti', 'tnt_s_legacy'])
def test_norms_biases_and_drop_path(name):
    model = build(f'tnt/{name}', drop_path_rate=.1, out_norm=False)
    assert {module.eps for module in model.modules() if isinstance(module, nn.LayerNorm)} == {1e-5}
    blocks = [block for stage in model.stages for block in stage.blocks]
    assert [round(block.outer.drop_path.rate, 6) for block in blocks] == [round(.1 * i / 11, 6) for i in range(12)]
    assert all(block.inner.drop_path.rate == block.outer.drop_path.rate for block in blocks)
    lacking = {key for key, module in model.named_modules() if isinstance(module, nn.Linear) and module.bias is None}
    assert {key.split('.', 4)[4] for key in lacking} == {
        'inner.attn.qk', 'inner.attn.v', 'outer.attn.qk', 'outer.attn.v', *(['inject.proj'] if name == 'tnt_ti' else [])}
    assert model.no_weight_decay() == {'patch_embed.cls_token', 'patch_embed.pos_embed', 'patch_embed.words.pos_embed'}


def test_constant_tokens_of_the_file_are_named_and_left_out():
    model = build('tnt/tnt_ti', out_type='pooled')
    _, report = convert(model, authors_state(read_record(DATA / 'tnt/tnt_ti.json')))
    assert set(report.dropped) == {'outer_tokens', 'head.weight', 'head.bias'}
