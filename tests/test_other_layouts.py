"""Second opinions: what OpenMMLab's and timm's own classes compute, from their state dicts."""
from functools import partial

import pytest
import torch
from conftest import backbone_class, build
from mmengine.registry import MODELS, DefaultScope

from mmvit_backbones import list_backbones
from mmvit_backbones.engine.peers import MMDET, build_peer, difference, randomise, same_weights

HEADS = [1, 2, 5, 8]
PVT = dict(num_heads=HEADS, mlp_ratios=(8, 8, 4, 4), num_layers=[2, 2, 2, 2])
TWINS = dict(depths=[2, 2, 2, 2], sr_ratios=[8, 4, 2, 1], strides=[4, 2, 2, 2])
PCPVT = dict(TWINS, embed_dims=[64, 128, 320, 512], num_heads=HEADS, mlp_ratios=[8, 8, 4, 4])
SVT = dict(TWINS, embed_dims=[64, 128, 256, 512], num_heads=[2, 4, 8, 16], mlp_ratios=[4, 4, 4, 4])
THEIRS = {
    'mmdet swin/tiny': dict(type='mmdet.SwinTransformer', depths=(2, 2, 2, 2)),
    'mmseg swin/tiny': dict(type='mmseg.SwinTransformer', depths=(2, 2, 2, 2)),
    'mmpretrain swin/tiny': dict(
        type='mmpretrain.SwinTransformer', arch=dict(embed_dims=96, depths=[2, 2, 2, 2], num_heads=[3, 6, 12, 24]),
        out_indices=(0, 1, 2, 3), pad_small_map=True),
    'mmpretrain swin_v2/tiny_window8_256': dict(
        type='mmpretrain.SwinTransformerV2',
        arch=dict(embed_dims=96, depths=[2, 2, 2, 2], num_heads=[3, 6, 12, 24], extra_norm_every_n_blocks=0),
        out_indices=(0, 1, 2, 3)),
    'mmpretrain swin_v2/base_window12to16_192to256_22kto1k': dict(
        type='mmpretrain.SwinTransformerV2',
        arch=dict(embed_dims=128, depths=[2, 2, 2, 2], num_heads=[4, 8, 16, 32], extra_norm_every_n_blocks=0),
        window_size=[16, 16, 16, 8], pretrained_window_sizes=[12, 12, 12, 6], out_indices=(0, 1, 2, 3)),
    'mmdet pvt/tiny': dict(type='mmdet.PyramidVisionTransformer', **PVT),
    'mmdet pvt_v2/b1': dict(type='mmdet.PyramidVisionTransformerV2', embed_dims=64, **PVT),
    'mmseg twins_pcpvt/small': dict(type='mmseg.PCPVT', qkv_bias=True, norm_after_stage=False, **PCPVT),
    'mmseg twins_svt/small': dict(type='mmseg.SVT', qkv_bias=True, norm_after_stage=True, windiow_sizes=[7, 7, 7, 7], **SVT),
    'mmpretrain twins_pcpvt/small': dict(
        type='mmpretrain.PCPVT', arch={**PCPVT, 'patch_sizes': [4, 2, 2, 2], 'mlp_ratios': [8, 8, 4, 4]}, qkv_bias=True,
        out_indices=(0, 1, 2, 3), norm_after_stage=[False] * 4),
    'mmpretrain twins_svt/small': dict(
        type='mmpretrain.SVT', arch={**SVT, 'patch_sizes': [4, 2, 2, 2], 'window_sizes': [7, 7, 7, 7]}, qkv_bias=True,
        out_indices=(0, 1, 2, 3), norm_after_stage=[True] * 4),
    'mmpretrain t2t_vit/t2t_vit_t_14': dict(
        type='mmpretrain.T2T_ViT', embed_dims=384, t2t_cfg=dict(token_dims=64, use_performer=False), num_layers=2,
        layer_cfgs=dict(num_heads=6, feedforward_channels=1152), out_type='featmap'),
    'mmseg vit/vit_tiny_patch16_224': dict(
        type='mmseg.VisionTransformer', embed_dims=192, num_layers=4, num_heads=3, out_indices=(0, 1, 2, 3), patch_bias=True,
        final_norm=True, norm_cfg=dict(type='LN', eps=1e-6)),
    'mmpretrain vit/vit_tiny_patch16_224': dict(
        type='mmpretrain.VisionTransformer', arch=dict(embed_dims=192, num_layers=4, num_heads=3, feedforward_channels=768),
        out_indices=[0, 1, 2, 3], out_type='featmap'),
    'mmpretrain mvit_v2/tiny': dict(
        type='mmpretrain.MViT', arch=dict(embed_dims=96, num_layers=8, num_heads=1, downscale_indices=[2, 4, 6])),
    'timm swin/tiny': dict(model_name='swin_tiny_patch4_window7_224', depths=(2, 2, 2, 2), img_size=448),
    'timm swin_v2/tiny_window8_256': dict(model_name='swinv2_tiny_window8_256', depths=(2, 2, 2, 2), img_size=512),
    'timm pvt_v2/b1': dict(model_name='pvt_v2_b1'),
    'timm pvt_v2/b2_li': dict(model_name='pvt_v2_b2_li', depths=(2, 2, 2, 2)),
    'timm twins_pcpvt/small': dict(model_name='twins_pcpvt_small', depths=(2, 2, 2, 2), img_size=448),
    'timm vit/vit_tiny_patch16_224': dict(model_name='vit_tiny_patch16_224', depth=4, dynamic_img_size=True),
}
DEPTHS = {'t2t_vit': (1, 1, 0, 0), 'vit': (1, 1, 1, 1)}
"""{family: blocks a stage, where it is not two}"""
OPTIONS = {
    'twins_svt': dict(padding='mask'), 'mvit_v2': dict(out_type='pooled'), 't2t_vit': dict(pyramid=None),
    'vit': dict(pyramid='raw')
}
"""{family: of our backbone, for what OpenMMLab's computes}; their MViTv2 is a classifier, without windows."""


def ours(name, **options):
    row = backbone_class(name).archs[name.split('/')[1]]
    return build(name, arch=dict(row, depths=DEPTHS.get(name.split('/')[0], (2, 2, 2, 2))), **options)


@pytest.mark.parametrize('name', [name for name in THEIRS if not name.startswith('timm')])
def test_openmmlab(name):
    package, name = name.split(' ')
    pytest.importorskip(f'{package}.models')
    settings = THEIRS[f'{package} {name}']
    with DefaultScope.overwrite_default_scope(package):
        theirs = randomise(MODELS.build(dict(settings)))
    family = name.split('/')[0]
    if family == 't2t_vit':  # given a scale, their attention takes another one, and divides by it
        from mmpretrain.models.utils.attention import MultiheadAttention, scaled_dot_product_attention_pyimpl
        for attn in (module for module in theirs.modules() if isinstance(module, MultiheadAttention)):
            scale = (attn.input_dims // attn.num_heads)**.5
            attn.scaled_dot_product_attention = partial(scaled_dot_product_attention_pyimpl, scale=scale)
    small = dict(t2t_vit=(224, 224), vit=(208, 240))
    size = small.get(family, (192, 256) if 'pvt' in family or 'twins' in family else (264, 300))
    image = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))
    model = ours(name, **OPTIONS.get(family, {}))
    model.load_state_dict(theirs.state_dict())
    with torch.no_grad():
        for a, b in zip(model(image), theirs(image), strict=True):
            b = b.mean((2, 3)) if model.out_type == 'pooled' else b
            assert torch.allclose(a, b, atol=1e-4 * b.std()), (a - b).abs().max() / b.std()


@pytest.mark.parametrize('name', [name for name in THEIRS if name.startswith('timm')])
def test_timm(name):
    timm = pytest.importorskip('timm')
    name = name.split(' ')[1]
    settings = THEIRS[f'timm {name}']
    theirs = randomise(timm.create_model(**settings))
    positions = dict(pyramid='raw', antialias=True) if name.startswith('vit') else {}
    model = ours(name, out_norm=name.startswith(('pvt', 'twins')), **positions)
    model.load_state_dict(theirs.state_dict())
    side = settings.get('img_size', 448)  # more than one window in the last stage
    image = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for a, b in zip(model(image), theirs.forward_intermediates(image, intermediates_only=True), strict=True):
            assert torch.allclose(a, b, atol=1e-4 * b.std()), (a - b).abs().max() / b.std()


@pytest.mark.parametrize('name, theirs', [('mvit_v2/tiny', 'mvitv2_tiny'), ('cait/cait_XXS24_224', 'cait_xxs24_224')])
def test_classifier_of_timm(name, theirs):
    """MViTv2's without a class token: timm adds the queries to that one, too, and the authors do not."""
    timm = pytest.importorskip('timm')
    theirs = randomise(timm.create_model(theirs))
    model = build(name, out_type='pooled')
    model.load_state_dict(theirs.state_dict())
    image = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = theirs.forward_head(theirs.forward_features(image), pre_logits=True)
        assert torch.allclose(model(image)[0], expected, atol=1e-4 * expected.std())


@pytest.mark.parametrize('package', ['timm', 'mmpretrain'])
def test_earlier_implementation_of_tnt(package):
    """Class tokens of four blocks."""
    module = pytest.importorskip('timm' if package == 'timm' else 'mmpretrain.models')
    if package == 'timm':
        theirs = randomise(module.create_model('tnt_s_legacy_patch16_224', depth=4, num_classes=0))
    else:
        arch = dict(embed_dims_outer=384, embed_dims_inner=24, num_layers=4, num_heads_outer=6, num_heads_inner=4)
        with DefaultScope.overwrite_default_scope(package):
            theirs = randomise(MODELS.build(dict(type='mmpretrain.TNT', arch=arch)))
    row = backbone_class('tnt/tnt_s_legacy').archs['tnt_s_legacy']
    model = build('tnt/tnt_s_legacy', arch=dict(row, depths=(1, 1, 1, 1)), out_type='pooled')
    model.load_state_dict(theirs.state_dict())
    image = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = theirs(image)
        expected = expected if package == 'timm' else expected[0]
        assert torch.allclose(model(image)[0], expected, atol=1e-4 * expected.std())


@pytest.mark.parametrize('name, theirs', [
    ('deit/deit_tiny_distilled_patch16_224', 'deit_tiny_distilled_patch16_224'),
    ('deit/deit_small_patch16_LS', 'deit3_small_patch16_224'),
])
def test_tokens_of_timm(name, theirs):
    timm = pytest.importorskip('timm')
    theirs = randomise(timm.create_model(theirs, depth=4, img_size=96))
    row = backbone_class(name).archs[name.split('/')[1]]
    model = build(name, arch=dict(row, depths=(1, 1, 1, 1), grid=6), pyramid=None)
    model.load_state_dict(theirs.state_dict())
    image = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = theirs.forward_features(image)[:, theirs.num_prefix_tokens:]
        assert torch.allclose(model(image)[0].flatten(2).mT, expected, atol=1e-4 * expected.std())


@pytest.mark.parametrize('package, name, expected', [
    ('timm', 'swin/tiny', 'swin_tiny_patch4_window7_224'),
    ('timm', 'swin/base_window12_384', 'swin_base_patch4_window12_384'),
    ('timm', 'pvt_v2/b2_li', 'pvt_v2_b2_li'),
    ('timm', 'pvt_v2/b2', 'pvt_v2_b2'),
    ('timm', 'pvt/tiny', None),
    ('timm', 'vit/vit_small_patch16_384', 'vit_small_patch16_384'),
    ('timm', 'deit/deit_small_patch16_LS', 'deit3_small_patch16_224'),
    ('timm', 'cait/cait_XS24', 'cait_xs24_384'),
    ('timm', 'tnt/tnt_s_legacy', 'tnt_s_legacy_patch16_224'),
    ('timm', 'ceit/ceit_t', None),
    ('timm', 'cpvt/cpvt_ti', None),
    ('timm', 'mvit_v2/tiny', None),  # without windows
    ('timm', 'twins_svt/small', None),  # without the norms after its stages, which dense models have
    ('mmdet', 'swin/base', 'mmdet.SwinTransformer'),
    ('mmdet', 'pvt_v2/b5', 'mmdet.PyramidVisionTransformerV2'),
    ('mmdet', 'pvt_v2/b2_li', None),
    ('mmdet', 'cswin/tiny', None),
])
def test_peers_are_found(package, name, expected):
    pytest.importorskip(package)
    with torch.device('meta'):
        peer = build_peer(package, name)
    assert (peer and peer.name) == expected


@pytest.mark.parametrize('package, name, size', [('timm', 'twins_pcpvt/small', (64, 96)), ('timm', 'deit/deit_tiny_patch16_224', (96, 96)),
                                                 ('mmdet', 'pvt_v2/b0', (64, 96)),
                                                 ('mmdet', 'swin/tiny', (70, 101)), ('mmdet', 'pvt/tiny', (64, 96))])
def test_peers_are_the_same_function(package, name, size):
    pytest.importorskip(package)
    peer = build_peer(package, name, size)
    model = build(name, **peer.options)
    image = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        same_weights(model, peer.model)
        assert difference(model(image), peer.levels(image)) < 1e-4
        randomise(model)  # other weights: the difference is seen
        model.stages[3].blocks[0].mlp.fc1.weight *= 2
        assert difference(model(image), peer.levels(image)) > 1e-2
        with pytest.raises(ValueError, match='expected levels of'):
            difference(model(image)[:3], peer.levels(image))


def test_mmdet_has_no_more_of_ours():
    """Every class of mmdet's with the name of one here is compared."""
    mmdet = pytest.importorskip('mmdet.registry')
    pytest.importorskip('mmdet.models')
    families = {name.split('/')[0]: cfg['type'].split('.')[1] for name, cfg in list_backbones().items()}
    assert MMDET.keys() == {family for family, cls in families.items() if cls in mmdet.MODELS.module_dict}
