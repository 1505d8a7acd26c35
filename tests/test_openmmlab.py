"""The package among the OpenMMLab packages."""
import subprocess
import sys

import pytest
import torch
from conftest import backbone_class, build, tiny
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope

from mmvit_backbones import list_backbones
from mmvit_backbones.engine.peers import randomise


@pytest.mark.parametrize('scope', ['mmengine', 'mmdet', 'mmseg', 'mmpretrain'])
@pytest.mark.parametrize('imports', ['', 'import mmvit_backbones'])
def test_found_in_every_scope(scope, imports):
    """In a fresh process, by the prefixed type alone."""
    subprocess.run([sys.executable, '-c', f'''
{imports}
from mmengine.registry import MODELS, init_default_scope
if {scope!r} != "mmengine":
    from {scope}.registry import MODELS
init_default_scope({scope!r})
with __import__("torch").device("meta"):
    model = MODELS.build(dict(type="mmvit_backbones.CSWinTransformer", arch="tiny"))
assert model.out_channels == (64, 128, 256, 512)
'''], check=True)


def test_importing_the_package_needs_torch_and_mmengine_alone():
    subprocess.run([sys.executable, '-c', '''
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("mmcv", "mmdet", "mmseg", "mmpretrain"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hidden())
import mmvit_backbones
assert "torch" not in sys.modules and "mmengine" not in sys.modules, "importing it alone costs nothing"
import torch
from mmengine.registry import MODELS
from mmvit_backbones import Backbone, CSWinTransformer, checkpoints
assert not hasattr(mmvit_backbones, "Nothing") and not hasattr(mmvit_backbones, "nothing")
with torch.no_grad():
    MODELS.build(mmvit_backbones.list_backbones()["cswin/tiny"])(torch.zeros(1, 3, 64, 64))
    CSWinTransformer("tiny")(torch.zeros(1, 3, 64, 64))
    neck = MODELS.build(dict(type="mmvit_backbones.SimpleFeaturePyramid", in_channels=[4, 8], num_outs=3))
    assert len(neck([torch.zeros(1, 4, 8, 8), torch.zeros(1, 8, 4, 4)])) == 3
'''], check=True)


def test_our_types_do_not_hide_theirs():
    import mmdet.models  # noqa: F401
    import mmseg.models  # noqa: F401
    with DefaultScope.overwrite_default_scope('mmdet'):
        assert MODELS.get('mmdet.SwinTransformer').__module__.startswith('mmdet')
    assert MODELS.get('mmvit_backbones.SwinTransformer').__module__.startswith('mmvit_backbones')


def test_image_classifier(smallest):
    import mmpretrain.models  # noqa: F401
    from mmpretrain.structures import DataSample
    cfg = list_backbones()[smallest]
    row = backbone_class(smallest).archs[cfg['arch']]
    arch = dict(row, depths=tuple(min(depth, 2) for depth in row['depths']))
    with torch.device('meta'):
        channels = build(smallest, arch=arch).out_channels
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(
            dict(
                type='mmpretrain.ImageClassifier',
                backbone=dict(type=cfg['type'], arch=arch),
                neck=dict(type='mmpretrain.GlobalAveragePooling'),
                head=dict(type='mmpretrain.LinearClsHead', num_classes=5, in_channels=channels[-1])))
    losses = model.loss(torch.randn(2, 3, 64, 64), [DataSample().set_gt_label(i) for i in range(2)])
    assert torch.isfinite(losses['loss'])


def decayed(model, **paramwise):
    wrapper = build_optim_wrapper(
        model,
        ConfigDict(
            type='OptimWrapper',
            constructor='mmvit_backbones.LayerDecayOptimWrapperConstructor',
            optimizer=dict(type='AdamW', lr=1., weight_decay=.05),
            paramwise_cfg=paramwise))
    names = {id(p): name for name, p in model.named_parameters()}
    groups = {names[id(group['params'][0])]: group for group in wrapper.optimizer.param_groups}
    assert all(len(group['params']) == 1 for group in groups.values())
    return groups


def test_layer_decay(smallest):
    model = torch.nn.ModuleDict(dict(backbone=build(smallest, frozen_stages=-1), head=torch.nn.Linear(2, 2)))
    groups = decayed(model, layer_decay=.5, norm_decay_mult=0.)
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    assert groups.keys() == trainable, 'every parameter is in one group'
    backbone = model['backbone']
    for name, group in groups.items():
        scale = 1.
        if name.startswith('backbone.'):
            scale = .5**(backbone.num_layers - 1 - backbone.layer_depth(name[9:]))
        assert group['lr'] == pytest.approx(scale), name
    assert groups['head.weight']['weight_decay'] == .05
    assert all(groups[f'backbone.{name}']['weight_decay'] == 0 for name in backbone.no_weight_decay() & {n[9:] for n in trainable})
    assert min(groups.values(), key=lambda group: group['lr'])['lr'] == pytest.approx(.5**(backbone.num_layers - 1))


@pytest.mark.parametrize('options, message', [(dict(), 'layer_decay'), (dict(layer_decay=1.5), 'layer_decay')])
def test_layer_decay_says_what_is_wrong(options, message):
    with pytest.raises(ValueError, match=message):
        decayed(tiny('cswin/tiny'), **options)


def test_layer_decay_needs_one_of_our_backbones():
    with pytest.raises(ValueError, match='no backbone of mmvit_backbones'):
        decayed(torch.nn.Linear(2, 2), layer_decay=.5)


def test_fused_batch_norms_change_nothing(smallest):
    """mmcv takes a norm for that of the convolution in front of it, in the order in which a module lists its parts."""
    from mmcv.cnn import fuse_conv_bn
    model = randomise(tiny(smallest)).double()
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    image = torch.randn(1, 3, 64, 96).double()
    with torch.no_grad():
        expected = model(image)
        for out, level in zip(fuse_conv_bn(model)(image), expected):
            assert torch.allclose(out, level, rtol=1e-9, atol=1e-9)
    left = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert len(left) < len(norms) or not norms
