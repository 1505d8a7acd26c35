"""What every backbone promises, asked of every family's smallest variant."""
import copy
import inspect
import math
from contextlib import nullcontext

import pytest
import torch
from conftest import SMALLEST, backbone_class, build, tiny
from mmengine.config import Config
from mmengine.registry import MODELS
from torch.torch_version import TorchVersion

from mmvit_backbones import SwinTransformer, list_backbones
from mmvit_backbones.checkpoints import ZOO


def image(height=64, width=96, batch=1, channels=3, seed=0, device='cpu'):
    return torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(seed)).to(device)


def close(a, b, tolerance=1e-4):
    """Whether each level of b is that of a, up to a share of its standard deviation."""
    return all(x.shape == y.shape and (x - y).abs().max() <= tolerance * x.std() for x, y in zip(a, b)) and len(a) == len(b)


@pytest.mark.parametrize('size', [(32, 32), (64, 96), (33, 47), (250, 333)])
def test_four_levels_for_any_size(device, smallest, size):
    model = build(smallest).to(device)
    with torch.no_grad():
        outs = model(image(*size, device=device))
    assert isinstance(outs, tuple) and len(outs) == 4
    assert model.out_strides == (4, 8, 16, 16 if 'lv_vit' in smallest else 32)
    for out, channels, stride in zip(outs, model.out_channels, model.out_strides):
        assert out.shape[:2] == (1, channels)
        for side, length in zip(out.shape[2:], size):
            whole = length // 16 * 16  # some columns leave out a remainder
            assert math.floor(whole / stride) <= side <= math.ceil(length / stride) or side == 1
        assert torch.isfinite(out).all()
        assert out.is_contiguous(), 'RoIAlign of mmcv silently reads any other layout wrongly'


def test_an_image_does_not_depend_on_its_batch(smallest):
    model = build(smallest).double()
    images = image(batch=2).double()
    with torch.no_grad():
        assert close([out[:1] for out in model(images)], model(images[:1]))


@pytest.mark.parametrize('out_indices', [(0, ), (1, 3), (2, ), (0, 1, 2, 3)])
def test_every_parameter_is_used_whatever_the_levels(smallest, out_indices):
    if out_indices == (0, ) and getattr(backbone_class(smallest), 'options', {}).get('pyramid') == 'own':
        pytest.skip('a level of the stem, which makes no use of the column')
    model = tiny(smallest, out_indices=out_indices).train()
    outs = model(image())
    assert len(outs) == len(out_indices) == len(model.out_channels)
    sum(out.square().sum() for out in outs).backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize('frozen_stages', [-1, 0, 1, 4])
def test_frozen_stages(smallest, frozen_stages):
    model = tiny(smallest, frozen_stages=frozen_stages)

    def should_be_frozen(name):
        part, _, rest = name.partition('.')
        if part == 'stages':
            return int(rest.split('.')[0]) < frozen_stages
        if part.startswith(('norm', 'resample')):
            return model.norms == 'trunk' and int(part[4:]) < frozen_stages
        return frozen_stages >= 0

    fixed = build(smallest)  # some families hold constants as parameters
    constant = {name for name, p in fixed.named_parameters() if not p.requires_grad}
    for name, p in model.named_parameters():
        assert p.requires_grad != (should_be_frozen(name) or name in constant), name
    assert model.train() is model and model.training
    for name, module in model.named_modules():
        if name and not any(True for _ in module.children()):
            assert module.training != should_be_frozen(name + '.'), name
    before = copy.deepcopy(model.state_dict())
    loss = sum(out.square().sum() for out in model(image()))
    if any(p.requires_grad for p in model.parameters()):
        loss.backward()
    for name, buffer in model.named_buffers():
        if should_be_frozen(name) and name in before:
            assert torch.equal(buffer, before[name]), name
    assert model.eval() is model and not model.training


def test_checkpointing_changes_no_gradient_and_no_statistics(device, smallest):
    plain = tiny(smallest).to(device).train()
    saving = tiny(smallest, with_cp=True).to(device).train()
    saving.load_state_dict(plain.state_dict())
    for model in (plain, saving):
        torch.manual_seed(0)  # dropout, where a family has it
        sum(out.square().sum() for out in model(image(device=device))).backward()
    for (name, p), q in zip(plain.named_parameters(), saving.parameters()):
        if p.grad is not None:
            assert torch.allclose(p.grad, q.grad, rtol=1e-4, atol=1e-5 * p.grad.abs().max().item()), name
    for (name, buffer), other in zip(plain.named_buffers(), saving.buffers()):
        assert torch.equal(buffer, other), name


def test_checkpointing_saves_memory(smallest):

    def kept(model):
        saved = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel()), lambda t: None):
            model(image())
        return sum(saved)

    # what makes levels of taps, such as LV-ViT's side layers, is not recomputed
    assert kept(tiny(smallest, with_cp=True).train()) < .7 * kept(tiny(smallest).train())


def test_drop_path(smallest):
    model = tiny(smallest, drop_path_rate=.5).train()
    torch.manual_seed(0)
    first = model(image(batch=4))
    assert not all(torch.equal(a, b) for a, b in zip(first, model(image(batch=4))))
    model.eval()
    with torch.no_grad():
        assert close(model(image()), model(image()))


@pytest.mark.parametrize('channels', [1, 4])
def test_other_image_channels(smallest, channels):
    model = tiny(smallest, in_channels=channels)
    assert model(image(channels=channels))[0].shape[1] == model.out_channels[0]


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_mixed_precision(device, smallest, dtype):
    if device == 'cpu' and torch.__version__ < TorchVersion('2.4'):
        pytest.skip('On CPUs, PyTorch 2.1 has no autocast to float16, and its bfloat16 gradient of attention overwrites memory')
    model = tiny(smallest)
    model.init_weights()  # with PyTorch's, ResT's attention makes every difference some times as large
    model = model.to(device).train()
    # On CPUs, PyTorch's 3x3 weight gradients in half precision read unset memory for maps of 1 x 1, as MSG's messengers
    # are on smaller images.
    dense = any(part in smallest for part in ('deepvit', 'hrformer', 'lv_vit', 'ps_vit', 'vitae'))
    size = (64, 96) if dense else (128, 192)  # float16 of dense convolutions takes a CPU some seconds
    large = 10 * image(*size, device=device)
    with torch.autocast(device, dtype):
        outs = model(large)
        sum(out.float().mean() for out in outs).backward()
    assert all(torch.isfinite(out).all() for out in outs)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    model.eval()
    with torch.no_grad():
        expected = model(image(device=device))
        with torch.autocast(device, dtype):
            outs = model(image(device=device))
    for a, b in zip(expected, outs):
        assert (a - b.float()).abs().mean() < .1 * a.abs().mean()


def test_half_weights(device, smallest):
    model = tiny(smallest).to(device, torch.bfloat16)
    with torch.no_grad():
        outs = model(image(device=device).to(torch.bfloat16))
    assert all(out.dtype == torch.bfloat16 and torch.isfinite(out).all() for out in outs)


def test_compiles_as_one_graph(smallest):
    model = tiny(smallest)
    torch._dynamo.reset()
    with torch.no_grad():
        expected = model(image(70, 101))
        assert close(expected, torch.compile(model, fullgraph=True, backend='eager')(image(70, 101)))


def compiles_with_inductor(model, images):
    torch._dynamo.reset()
    with torch.no_grad():
        expected = model(images)
        assert close(expected, torch.compile(model, fullgraph=True)(images))


@pytest.mark.parametrize('family', ['swin', pytest.param('pvt_v2', marks=pytest.mark.long)])
def test_first_stage_compiles_with_inductor(family):
    compiles_with_inductor(tiny(SMALLEST[family], out_indices=(0, )), image(70, 101))


@pytest.mark.long
def test_compiles_with_inductor(device, smallest):
    compiles_with_inductor(tiny(smallest).to(device), image(70, 101, device=device))


def test_layer_depth(smallest):
    model = build(smallest)
    depths = {name: model.layer_depth(name) for name, _ in model.named_parameters()}
    assert set(depths.values()) == set(range(model.num_layers)) - ({model.num_layers - 1} if model.norms != 'out' else set())
    assert all(depth == 0 for name, depth in depths.items() if name.startswith('patch_embed'))
    stages = model.spec['depths']
    for name, depth in depths.items():
        if name.startswith('stages.') and '.blocks.' in name:
            i, j = int(name.split('.')[1]), int(name.split('.')[3])
            assert depth == sum(stages[:i]) + j + 1
    name = next(iter(depths))
    assert model.get_layer_depth('backbone.' + name, 'backbone.') == (depths[name], model.num_layers)
    assert model.no_weight_decay() <= set(depths)


def test_weights_are_initialised_by_init_weights(smallest):
    model = build(smallest)
    model.init_weights()
    with torch.no_grad():
        outs = model(image())
    assert all(torch.isfinite(out).all() and out.std() > 0 for out in outs)


def test_copies_and_devices(smallest):
    model = tiny(smallest)
    with torch.no_grad():
        expected = model(image())
        assert close(expected, copy.deepcopy(model)(image()))
        double = copy.deepcopy(model).double()(image().double())
    assert all((a - b).abs().max() < 1e-3 * a.std() for a, b in zip(expected, double)) or 'sg_former' in smallest


def test_flat_images_keep_their_digits(smallest):
    """A white page with a black bar shows differences of large and nearly equal numbers, which noise as an image hides."""
    page = torch.full((1, 3, 64, 96), 2.64)
    page[:, :, 30:40] = -2.1
    model = tiny(smallest)
    model.apply(model.init_module)
    with torch.no_grad():
        outs, expected = model(page), model.double()(page.double())
    for out, exact in zip(outs, expected):
        error = (out - exact).abs().max() / exact.square().mean().sqrt()
        assert error < (1e-2 if 'sg_former' in smallest else 3e-5)  # SG-Former sorts by nearly equal numbers


def test_no_argument_is_swallowed(smallest):
    with pytest.raises(TypeError, match="unexpected keyword argument 'depth': it takes arch, .*in_channels"):
        build(smallest, depth=50)


def test_signature_and_docstring_are_complete(smallest):
    cls = backbone_class(smallest)
    signature = inspect.signature(cls)
    arch, *others = signature.parameters.values()
    assert arch.name == 'arch' and arch.default is arch.empty
    assert {'in_channels', 'init_cfg', *cls.options} < {parameter.name for parameter in others}
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in others)
    assert all(f'    {name}: ' in cls.__doc__ for name in signature.parameters), 'every argument is described'
    bound = signature.bind(smallest.split('/')[1])
    bound.apply_defaults()
    with torch.device('meta'):
        model = cls(*bound.args, **bound.kwargs)
    assert all(getattr(model, name) == default for name, default in cls.options.items())


def test_a_constructor_of_ones_own_keeps_its_signature():

    class Mine(backbone_class('twins_svt/small')):

        def __init__(self, depth):
            super().__init__('small')

    assert list(inspect.signature(Mine).parameters) == ['depth']


@pytest.mark.parametrize('options, error, advice', [
    (dict(embed_dims=96, depths=(2, 2, 6, 2)), TypeError, r"arch='tiny', or .*arch=dict\(SwinTransformer.archs\['tiny'\], dims="),
    (dict(depths=(2, 2, 6, 2)), TypeError, r"arch=dict\(SwinTransformer.archs\['tiny'\], depths="),
    (dict(arch='tiny', window_size=12), TypeError, r'window=\.\.\.'),
    (dict(arch='tiny', pretrained='x.pth'), TypeError, r"init_cfg=dict\(type='Pretrained', checkpoint="),
    (dict(arch='tiny', in_chans=1), TypeError, 'write in_channels'),
    (dict(arch='tiny', img_size=640), TypeError, 'any size'),
    (dict(arch='tiny', pretrain_img_size=224), TypeError, 'any size'),
    (dict(arch='tiny', out_indices=3), ValueError, r'such as \(3, \), but got 3'),
    (dict(), ValueError, 'arch to be one of tiny, small'),
])
def test_habits_from_elsewhere_get_advice(options, error, advice):
    with pytest.raises(error, match=advice):
        MODELS.build(dict(type='mmvit_backbones.SwinTransformer', **options))


def test_a_variant_with_another_window(tmp_path):
    """As in Python and, where an import statement would change its kind, in a config."""
    (tmp_path / 'config.py').write_text("""backbone = dict(
        type='mmvit_backbones.SwinTransformer',
        arch=dict(__import__('mmvit_backbones').SwinTransformer.archs['tiny'], window=12))""")
    cfg = Config.fromfile(tmp_path / 'config.py').backbone
    with torch.device('meta'):
        state = MODELS.build(cfg).state_dict()
        expected = SwinTransformer(arch=dict(SwinTransformer.archs['tiny'], window=12)).state_dict()
    assert {key: value.shape for key, value in state.items()} == {key: value.shape for key, value in expected.items()}
    assert state['stages.0.blocks.0.attn.position.relative_position_bias_table'].shape == (23 * 23, 3)


@pytest.mark.parametrize('options, message', [
    (dict(arch='huge_tiny'), 'has no variant'),
    (dict(arch=dict(depths=(1, 1, 1, 1))), 'exactly the keys'),
    (dict(arch=3), 'expects arch'),
    (dict(out_indices=(0, 4)), 'out_indices'),
    (dict(out_indices=(1, 0)), 'out_indices'),
    (dict(out_indices=()), 'out_indices'),
    (dict(frozen_stages=5), 'frozen_stages'),
    (dict(drop_path_rate=1.), 'drop_path_rate'),
    (dict(in_channels=0), 'in_channels'),
])
def test_wrong_arguments(smallest, options, message):
    with pytest.raises(ValueError, match=message):
        build(smallest, **options)


def test_only_stages_that_are_built_can_be_frozen(smallest):
    parallel = build(smallest, out_indices=(2, )).parallel  # there every level needs all stages
    with nullcontext() if parallel else pytest.raises(ValueError, match='frozen_stages'):
        build(smallest, out_indices=(2, ), frozen_stages=4)


def test_wrong_number_of_stage_values(smallest):
    row = dict(backbone_class(smallest).archs[smallest.split('/')[1]])
    row['dims'] = tuple(row['dims'][:-1])
    with pytest.raises(ValueError, match='dims'):
        build(smallest, arch=row)


@pytest.mark.parametrize('shape', [(1, 3, 31, 64), (1, 3, 64, 16), (1, 4, 64, 64), (3, 64, 64), (0, 3, 64, 64)])
def test_wrong_images(smallest, shape):
    with pytest.raises(ValueError, match='expects images'):
        tiny(smallest)(torch.zeros(shape))


def test_list_backbones():
    known = list_backbones()
    assert SMALLEST.keys() == {name.split('/')[0] for name in known}
    for name, cfg in known.items():
        assert cfg['type'].startswith('mmvit_backbones.') and cfg['arch'] == name.split('/')[1]
        with torch.device('meta'):
            model = MODELS.build(cfg)
        assert len(model.out_channels) == 4
    assert list(list_backbones('pvt*/?[1-3]')) == ['pvt_v2/b1', 'pvt_v2/b2', 'pvt_v2/b3']
    assert list(list_backbones('cswin*', pretrained=True)) == [name for name in known if name.startswith('cswin/')]
    assert list_backbones('*', pretrained=True).keys() == known.keys() & ZOO.keys()
    assert list_backbones('gg_*', pretrained=True) == {}
