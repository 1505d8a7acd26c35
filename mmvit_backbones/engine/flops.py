"""The arithmetic of a model, counted without doing it: on the meta device a detector takes a second and no memory."""
import copy
import importlib
import inspect
from functools import lru_cache
from typing import Callable, Dict, NamedTuple, Optional, Tuple

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from .config import UsageError

BOX_PROPOSALS, MASK_PROPOSALS = 1000, 100
"""What the box heads and the mask heads of a two-stage detector are counted on, as mmdet 2 did."""

aten = torch.ops.aten
_NORMS = {
    getattr(aten, name)
    for name in ('native_layer_norm', 'native_group_norm', 'native_batch_norm', 'cudnn_batch_norm', 'miopen_batch_norm',
                 '_native_batch_norm_legit', '_native_batch_norm_legit_no_training', '_batch_norm_with_update',
                 '_batch_norm_no_update') if hasattr(aten, name)
}
_ATTENTION = {
    getattr(aten, name)
    for name in ('_scaled_dot_product_flash_attention', '_scaled_dot_product_flash_attention_for_cpu',
                 '_scaled_dot_product_efficient_attention', '_scaled_dot_product_cudnn_attention',
                 '_scaled_dot_product_fused_attention_overrideable') if hasattr(aten, name)
}


class Macs(NamedTuple):
    """Multiply-adds, counted in two ways. FLOPs are twice as many; many papers print multiply-adds and call them FLOPs.

    Attributes:
        modules: Of convolutions, linear layers and norms (two for each value): what mmdet 2's ``get_flops`` printed, on
            which most papers' detection figures rest.
        all: These, and the products of two activations: attention's two products, however they are computed.
    """
    modules: int
    all: int


class Cost(NamedTuple):
    """What a model costs.

    Attributes:
        params: Number of its parameters, auxiliary heads included.
        macs: Multiply-adds for one image, auxiliary heads left out.
        size: Height and width of that image in pixels.
    """
    params: int
    macs: Macs
    size: Tuple[int, int]


class _Counter(TorchDispatchMode):
    """Counts what runs in it. On the meta device nothing is worth computing twice: a result is remembered by its operator
    and the shapes of its arguments, since the blocks of a network repeat one another."""

    def __init__(self) -> None:
        super().__init__()
        self.macs = Macs(0, 0)
        self.known: Dict[tuple, Tuple[Macs, Tuple[Tensor, ...]]] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if _is_composite(func):
            with self:
                return func.decompose(*args, **kwargs)
        key = (func, *map(_describe, args), *map(_describe, kwargs.items())) if _is_new(func) else (None, )
        if key in self.known:
            macs, results = self.known[key]
            results = [torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device='meta') for x in results]
            out = results[0] if len(func._schema.returns) == 1 else tuple(results)
        else:
            out = func(*args, **kwargs)
            macs, results = _macs(func.overloadpacket, args, out), out if isinstance(out, tuple) else (out, )
            if None not in key and all(isinstance(x, Tensor) and x.is_meta for x in results):
                self.known[key] = macs, results
        self.macs = Macs(self.macs.modules + macs.modules, self.macs.all + macs.all)
        return out


@lru_cache(maxsize=None)
def _is_composite(func: OpOverload) -> bool:
    """Whether it is made of other operators; linear, matmul and attention come whole where a tensor was made in inference
    mode."""
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), 'CompositeImplicitAutograd')


@lru_cache(maxsize=None)
def _is_new(func: OpOverload) -> bool:
    """Whether its results are tensors of their own, no views and not its arguments."""
    return not any(result.alias_info for result in func._schema.returns)


def _describe(value: object) -> object:
    """What a result on the meta device can depend on, of an argument; None for a tensor that is elsewhere."""
    if isinstance(value, Tensor):
        return (value.shape, value.stride(), value.dtype) if value.is_meta else None
    if isinstance(value, (list, tuple)):
        parts = tuple(map(_describe, value))
        return None if None in parts else parts
    return type(value), value  # 1, 1. and True are not the same


def _macs(op: object, args: tuple, out: object) -> Macs:
    """Of one operator; nothing for those that the papers' figures leave out."""
    modules = products = 0
    if op is aten.convolution:
        x, weight, transposed = args[0], args[1], args[6]
        modules = (x if transposed else out).numel() * weight[0].numel()
    elif op in (aten.mm, aten.addmm):
        modules = args[-2].numel() * args[-1].shape[1]
    elif op in (aten.bmm, aten.baddbmm):
        a, b = args[-2:]
        # a linear layer whose input is not contiguous comes as a product with its weight, repeated
        if len(a) > 1 and 0 in (a.stride(0), b.stride(0)):
            modules = a.numel() * b.shape[2]
        else:
            products = a.numel() * b.shape[2]
    elif op in _ATTENTION:
        q, k, v = args[:3]
        products = q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2] * (q.shape[3] + v.shape[3])
    elif op in _NORMS:
        modules = 2 * args[0].numel()
    return Macs(modules, modules + products)


def count_macs(run: Callable[[], object]) -> Macs:
    """Counts while something runs; activations and additions are left out, as in the papers' figures.

    Args:
        run: Calls a model, which may lie on the meta device, such as ``lambda: model(images)``.
    """
    with torch.no_grad(), _Counter() as counter:
        run()
    return counter.macs


def common_size(cfg: Config) -> Tuple[int, int]:
    """The height and width at which most papers count the model of a config.

    800 x 1280 pixels for detectors; for segmentors the crop's height by four times as much: 512 x 2048, 640 x 2560; 224 x
    224 for classifiers.
    """
    if cfg.default_scope == 'mmpretrain':
        return 224, 224
    if cfg.default_scope == 'mmseg':
        height = cfg.model.data_preprocessor.size[0]
        return height, 4 * height
    return 800, 1280


def count_config(cfg: Config, size: Optional[Tuple[int, int]] = None) -> Cost:
    """Counts the whole detector, segmentor or classifier of a config.

    The box heads of a two-stage detector get 1000 proposals and its mask heads 100, as in mmdet 2.

    Args:
        cfg: A config of mmdet, mmseg or mmpretrain.
        size: Height and width of the image in pixels, `common_size` where it is None.

    Raises:
        UsageError: A head reads more than maps.
    """
    size = size or common_size(cfg)
    importlib.import_module(f'{cfg.default_scope}.models')
    with DefaultScope.overwrite_default_scope(cfg.default_scope), torch.device('meta'):
        model = MODELS.build(copy.deepcopy(cfg.model)).eval()  # detectors change what they are built from
        images = torch.empty(1, 3, *size)
    macs = count_macs(lambda: _forward(model, images))
    return Cost(sum(p.numel() for p in model.parameters()), macs, tuple(size))


def _forward(model: nn.Module, images: Tensor) -> None:
    """Runs all parts that a test image goes through, without what depends on the data, such as the choice of boxes."""
    levels = model.extract_feat(images)
    if hasattr(model, 'decode_head'):
        out = ()
        for head in _list(model.decode_head):  # each but the first reads what the one before it gives
            out = _call(head, levels, *out),
    elif hasattr(model, 'head'):
        _call(model.head, levels)
    elif hasattr(model, 'roi_head'):
        _call(model.rpn_head, levels)
        roi = model.roi_head
        parts = [(roi.bbox_roi_extractor, roi.bbox_head, BOX_PROPOSALS)]
        if roi.with_mask:
            parts.append((roi.mask_roi_extractor, roi.mask_head, MASK_PROPOSALS))
        for extractors, heads, proposals in parts:
            for extractor, head in zip(_list(extractors), _list(heads)):
                size = extractor.roi_layers[0].output_size
                _call(head, images.new_empty(proposals, extractor.out_channels, *size))
    else:
        _call(model.bbox_head if hasattr(model, 'bbox_head') else model.panoptic_head, levels)


def _call(head: nn.Module, *inputs: object) -> object:
    """A head's result.

    Raises:
        UsageError: It reads more than maps, such as the queries of a DETR.
    """
    try:
        inspect.signature(head.forward).bind(*inputs)
    except TypeError as error:
        raise UsageError(f'multiply-adds of a model with {type(head).__name__} can not be counted: {error}, where heads are counted '
                         'that read maps alone') from error
    return head(*inputs)


def _list(part: nn.Module):
    return part if isinstance(part, nn.ModuleList) else [part]
