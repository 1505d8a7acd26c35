"""LV-ViT's branches, side layers, what its training drops, and its head of two layers."""
import pytest
import torch
from conftest import DATA, backbone_class, build, read_record, tiny
from mmengine.registry import MODELS
from torch import nn

from mmvit_backbones.backbones.lv_vit import DropoutMlp
from mmvit_backbones.checkpoints import convert
from mmvit_backbones.engine import classifier
from mmvit_backbones.engine.config import load_config
from mmvit_backbones.engine.recipe import set_backbone


@pytest.mark.parametrize('variant, eps, divisor, depths', [
    ('lvvit_t', 1e-5, 1, (3, 3, 3, 3)), ('lvvit_s', 1e-5, 2, (7, 3, 3, 3)), ('lvvit_m_448', 1e-5, 2, (11, 3, 3, 3)),
    ('lvvit_l_448', 1e-5, 3, (15, 3, 3, 3)), ('upernet_lvvit_s', 1e-6, 2, (7, 3, 3, 3)),
    ('upernet_lvvit_l', 1e-6, 1, (15, 3, 3, 3)),
])
def test_norms_branches_and_taps(variant, eps, divisor, depths):
    with torch.device('meta'):
        model = build(f'lv_vit/{variant}', pyramid='raw')
    assert tuple(len(stage.blocks) for stage in model.stages) == depths
    blocks = [block for stage in model.stages for block in stage.blocks]
    assert {block.alpha for block in blocks} == {1 / divisor}
    assert {module.eps for module in model.modules() if isinstance(module, nn.LayerNorm)} == {eps}
    assert {module.eps for module in model.modules() if isinstance(module, nn.BatchNorm2d)} == {1e-5}
    assert not any(name.endswith('qkv.bias') for name, _ in model.named_parameters())


def test_the_stem_rounds_down():
    model = tiny('lv_vit/lvvit_t', pyramid='raw')
    for size, grid in (((203, 269), (12, 16)), ((47, 48), (3, 3)), ((32, 46), (2, 2))):
        with torch.no_grad():
            assert [tuple(out.shape[2:]) for out in model(torch.zeros(1, 3, *size))] == [grid] * 4


def test_side_layers_are_the_published_ones():
    with torch.device('meta'):
        model = build('lv_vit/upernet_lvvit_m')
    assert model.out_channels == (512, 512, 512, 2048) and model.out_strides == (4, 8, 16, 16)
    assert not any('stages.3.norm' in name for name, _ in model.named_parameters()), 'no norm behind the last block'


@pytest.mark.parametrize('pyramid', ['own', 'taps', 'raw'])
def test_a_segmentor_takes_the_classifiers_file(pyramid):
    """Side layers are new, heads are dropped, the norm behind the last block is where levels are read behind it."""
    with torch.device('meta'):
        model = build('lv_vit/upernet_lvvit_s', pyramid=pyramid)
    shapes = read_record(DATA / 'lv_vit/lvvit_s.json')['state']
    _, report = convert(model, {key: torch.empty(shape, device='meta') for key, shape in shapes.items()})
    assert list(report.resized) == ['patch_embed.pos_embed']
    assert all(key.startswith(('resample', 'norm')) for key in report.new)
    norm = ['norm.weight', 'norm.bias'] if pyramid == 'own' else []
    assert set(report.dropped) == {*norm, 'head.weight', 'head.bias', 'aux_head.weight', 'aux_head.bias'}


def test_side_layers_are_left_out_elsewhere():
    with torch.device('meta'):
        model = build('lv_vit/upernet_lvvit_s', pyramid='raw', out_norm=False)
    shapes = read_record(DATA / 'lv_vit/upernet_lvvit_s.json')['state']
    _, report = convert(model, {key: torch.empty(shape, device='meta') for key, shape in shapes.items()})
    assert set(report.dropped) == {key for key in shapes if key.startswith('side_layer')} and not report.new


def test_what_training_drops():
    """Drop path as it is called, and the dropout of MLPs, which the authors' segmentation code gives its rates to."""
    model = tiny('lv_vit/lvvit_t', drop_path_rate=.14, mlp_dropout=.7)
    blocks = [block for stage in model.stages for block in stage.blocks]
    assert [round(100 * block.drop_path.rate) for block in blocks] == [0, 2, 4, 6, 8, 10, 12, 14]
    assert [round(10 * block.mlp.drop.p) for block in blocks] == [0, 1, 2, 3, 4, 5, 6, 7]
    mlp = DropoutMlp(8, 16, .5).train()
    nn.init.ones_(mlp.fc2.bias)
    x = torch.randn(64, 8)
    torch.manual_seed(0)
    out = mlp(x)
    torch.manual_seed(0)
    drop = nn.Dropout(.5)
    assert torch.equal(out, drop(mlp.fc2(drop(mlp.act(mlp.fc1(x))))))
    assert .3 < out.eq(0).float().mean() < .7 and mlp.eval()(x).ne(0).all()
    with pytest.raises(ValueError, match=r'mlp_dropout in \[0, 1\)'):
        tiny('lv_vit/lvvit_t', mlp_dropout=1.)


def test_the_head_reads_the_class_token_and_the_patches():
    from mmpretrain.structures import DataSample
    row = dict(backbone_class('lv_vit/lvvit_t').archs['lvvit_t'], depths=(1, 0, 0, 1))
    model = MODELS.build(classifier('lv_vit/lvvit_t', num_classes=3, arch=row)).train()
    model.init_weights()
    image = torch.randn(2, 3, 64, 64)
    samples = [DataSample().set_gt_label(label) for label in (0, 2)]
    model(image, samples, mode='loss')['loss'].backward()
    assert all(value.grad is not None for value in model.parameters())
    with torch.no_grad():
        model.eval()
        (token, patches), = model.extract_feat(image)
        assert token.shape == (2, 240) and patches.shape == (2, 16, 240)
        scores = model.head.fc(token) + model.head.aux_head(patches).max(1).values / 2
        torch.testing.assert_close(model(image, mode='tensor'), scores)
    nn.init.zeros_(model.head.aux_head.weight)
    nn.init.constant_(model.head.aux_head.bias, -2.)
    torch.testing.assert_close(model(image, mode='tensor'), model.head.fc(token) - 1)


def test_what_has_no_decay():
    assert tiny('lv_vit/lvvit_t').no_weight_decay() == {'patch_embed.pos_embed', 'patch_embed.cls_token'}


def test_a_segmentors_file():
    """Of mmsegmentation's layout: the backbone under its prefix, the heads beside it."""
    with torch.device('meta'):
        model = build('lv_vit/upernet_lvvit_s')
    shapes = read_record(DATA / 'lv_vit/upernet_lvvit_s.json')['state']
    state = {f'backbone.{key}': torch.empty(shape, device='meta') for key, shape in shapes.items()}
    head = {'decode_head.conv_seg.weight': torch.empty(150, 256, 1, 1, device='meta')}
    loaded, report = convert(model, dict(state_dict={**state, **head}, meta={}))
    assert report.prefix == 'backbone.' and report.dropped == list(head) and loaded.keys() == model.state_dict().keys()


def test_detectors_get_levels_of_their_strides():
    """Side layers have none of 32, which an FPN's anchors want."""
    cfg = set_backbone(load_config('configs/maskrcnn_swin_t_coco.py'), 'lv_vit/lvvit_t')
    assert cfg.model.backbone.pyramid == 'taps' and cfg.model.neck.in_channels == [240] * 4
    cfg = set_backbone(load_config('configs/maskrcnn_swin_t_coco.py'), 'deit/deit_tiny_patch16_224')
    assert 'pyramid' not in cfg.model.backbone and cfg.model.neck.in_channels == [192] * 4
