"""Our logits are the authors', through mmpretrain's classifier."""
import pytest
import torch
from conftest import DATA, authors_state, backbone_class, build, config, read_record, records, tiny
from mmengine.registry import MODELS, DefaultScope
from parity import compare, image
from torch import nn

from mmvit_backbones import list_backbones
from mmvit_backbones.checkpoints import CheckpointError
from mmvit_backbones.engine import classifier

LOGITS = {path.parent.name: read_record(path) for path in sorted(DATA.glob('*/logits.json'))}
CASES = [(family, i) for family, record in LOGITS.items() if 'state' not in record for i in range(len(record['cases']))]
"""Those of TokenLearner, in the shapes of another program, are in test_tokenlearner.py."""
LARGE = {'cswin/large', 'pvt_v2/b5', 'swin_v2/base_window12to24_192to384_22kto1k', 'vit_c/vit_c_18gf'}
"""Variants of which `make test` takes smaller ones that compute the same."""
DTYPES = {'rest': torch.float64, 'sg_former': torch.float64}
"""{family: dtype of the comparison, where it is not float32}; see test_parity.py."""
SMALL = dict(dims=(32, 64, 128, 256), depths=(1, 1, 2, 1), num_heads=(1, 2, 4, 8), window=7, mlp_ratio=4)


def authors_file(name, case=None):
    """The authors' whole state dict of a variant, without what the dense model alone has."""
    record = read_record(DATA / f'{name}.json')
    dense = record.get('dense_state', ())
    return {key: value for key, value in authors_state(record, case).items() if key not in dense}


def mark(name):
    return [pytest.mark.long] if name in LARGE else []


@pytest.mark.parametrize('family, i', [
    pytest.param(family, i, marks=mark(f'{family}/{LOGITS[family]["cases"][i]["variant"]}'), id=f'{family}-{i}')
    for family, i in CASES
])
def test_logits(family, i):
    case = LOGITS[family]['cases'][i]
    name = f'{family}/{case["variant"]}'
    state = authors_file(name, case)
    known = f'{family}/{config(name)["arch"]}'
    model = MODELS.build(classifier(known, num_classes=case['logits']['shape'][1])).eval()
    model.load_state_dict(state)
    dtype = DTYPES.get(family, torch.float32)
    with torch.no_grad():
        logits = model.to(dtype)(torch.from_numpy(image(case['input'], case['input_seed'])).to(dtype), mode='tensor')
    assert compare(logits[:, :, None, None].numpy(), case['logits']) < 1e-4


WITH_HEAD = [
    pytest.param(name, path, marks=[pytest.mark.long] if read_record(path)['params'] > 60e6 else [], id=name)
    for name, path in records() if not read_record(path).get('dense')
]
"""The heads of large variants, in make test-long, are those of the small ones."""


@pytest.mark.parametrize('name, path', WITH_HEAD)
def test_every_key_of_every_head_has_its_place(name, path):
    record = read_record(path)
    shapes = record['state']
    with torch.device('meta'):
        head = next(iter(build(name, out_type='pooled').head_keys))
        model = MODELS.build(
            classifier(f'{record["family"]}/{config(name)["arch"]}', num_classes=shapes[f'{head}weight'][0]))
    keys = model.load_state_dict({key: torch.empty(shape, device='meta') for key, shape in shapes.items()}, strict=False)
    assert not keys.unexpected_keys and all(key.endswith('num_batches_tracked') for key in keys.missing_keys)


def test_pooled_features(smallest):
    """One vector an image, whatever its size; gradients reach every parameter that the dense model does not freeze."""
    model = tiny(smallest, out_type='pooled').train()
    features, = model(torch.randn(2, 3, 64, 96))
    features, *tokens = features if isinstance(features, tuple) else (features, )  # those of every patch behind it
    assert features.shape == (2, model.out_channels[0]) and model.out_strides == ()
    sum(value.square().sum() for value in (features, *tokens)).backward()
    missing = {key for key, value in model.named_parameters() if value.requires_grad and value.grad is None}
    assert not missing


def test_out_type_is_one_of_two(smallest):
    with pytest.raises(ValueError, match="out_type to be 'featmap' or 'pooled'"):
        build(smallest, out_type='maps')
    with pytest.raises(ValueError, match='one vector an image'):
        build(smallest, out_type='pooled', out_indices=(0, 1))


@pytest.fixture(scope='module')
def authors(tmp_path_factory):
    """A file as Swin's authors save it: the weights under 'model', beside a training script's state."""
    path = tmp_path_factory.mktemp('authors') / 'swin.pth'
    state = authors_file('swin/tiny')
    torch.save(dict(model=state, epoch=299), path)
    return path, state


def test_init_cfg_takes_the_whole_file(authors):
    path, state = authors
    model = MODELS.build(classifier('swin/tiny', init_cfg=dict(type='Pretrained', checkpoint=str(path))))
    model.init_weights()
    assert model.head.fc.weight.equal(state['head.weight']) and model.backbone.norm.weight.equal(state['norm.weight'])


@pytest.mark.parametrize('change, words', [
    (dict(num_classes=10), 'head.fc.weight: file .1000, 768., model .10, 768.'),
    (dict(arch='small'), 'looks like swin/tiny'),
])
def test_a_classifier_is_loaded_whole_or_not_at_all(authors, change, words):
    path, _ = authors
    options = {key: value for key, value in change.items() if key != 'arch'}
    name = f'swin/{change.get("arch", "tiny")}'
    model = MODELS.build(classifier(name, init_cfg=dict(type='Pretrained', checkpoint=str(path)), **options))
    with pytest.raises(CheckpointError, match=words):
        model.init_weights()
    assert not model.is_init
    assert not any(value.any() for key, value in model.named_parameters() if key.endswith('qkv.bias'))


def test_a_head_without_a_bias_is_damage(authors, tmp_path):
    _, state = authors
    torch.save({key: value for key, value in state.items() if key != 'head.bias'}, tmp_path / 'damaged.pth')
    init = dict(type='Pretrained', checkpoint=str(tmp_path / 'damaged.pth'))
    with pytest.raises(CheckpointError, match='missing .head.fc.bias'):
        MODELS.build(classifier('swin/tiny', init_cfg=init)).init_weights()


def test_weights_go_from_the_classifier_to_a_detector(tmp_path):
    """What mmengine saves of a classifier is taken by a dense backbone, whose output norms are new."""
    model = MODELS.build(classifier('swin/tiny', num_classes=3, arch=SMALL))
    model.init_weights()
    torch.save(dict(meta=dict(epoch=1), state_dict=model.state_dict()), tmp_path / 'epoch_1.pth')
    dense = build('swin/tiny', arch=SMALL, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'epoch_1.pth')))
    dense.init_weights()
    own = model.backbone.state_dict()
    assert all(value.equal(own[key]) for key, value in dense.state_dict().items() if not key.startswith('norm'))
    with pytest.raises(CheckpointError, match='missing .*norm'):
        build('swin/tiny', arch=SMALL, out_type='pooled').load_state_dict(dense.state_dict())


def test_weights_of_a_dense_model_are_no_classifier(authors):
    _, state = authors
    dense = {key: value for key, value in state.items() if not key.startswith(('norm.', 'head.'))}
    with pytest.raises(CheckpointError, match='norm'):
        MODELS.build(classifier('swin/tiny')).load_state_dict(dense)


def test_mmpretrains_own_class_takes_the_authors_file(authors):
    _, state = authors
    cfg = dict(classifier('swin/tiny'), type='mmpretrain.ImageClassifier')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg)
    model.load_state_dict(state)
    assert isinstance(model.head.fc, nn.Linear) and model.head.fc.bias.equal(state['head.bias'])


def test_unknown_backbones_have_near_names():
    with pytest.raises(ValueError, match="no backbone 'swin/tyni'. Did you mean swin/tiny"):
        classifier('swin/tyni')
    assert classifier('swin/tiny')['backbone'] == dict(list_backbones()['swin/tiny'], out_type='pooled', drop_path_rate=.2)


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg'])
def test_classifiers_are_built_in_any_scope(scope):
    with DefaultScope.overwrite_default_scope(scope), torch.device('meta'):
        model = MODELS.build(classifier('swin/tiny', arch=SMALL))
    assert model.head.fc.in_features == 256
