"""The arithmetic of a model, counted."""
from typing import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

aten = torch.ops.aten


def _attention_flops(*args, **kwargs) -> int:
    # newer versions of torch pass shapes, older ones tensors
    q, k, v = (getattr(x, 'shape', x) for x in args[:3])
    return 2 * q[0] * q[1] * q[2] * k[2] * (q[3] + v[3])


# torch counts the kernels that GPUs have; these are what CPUs and the meta device run.
_KERNELS = ('_scaled_dot_product_flash_attention_for_cpu', '_scaled_dot_product_fused_attention_overrideable',
            '_scaled_dot_product_cudnn_attention')
_MAPPING = {getattr(aten, name): _attention_flops for name in _KERNELS if hasattr(aten, name)}


def count_macs(run: Callable[[], object]) -> int:
    """Multiply-adds of matrix products, convolutions and attention, the attention's two products included.

    FLOPs are twice as many. Norms, activations and additions are left out, as in the papers' figures.

    Args:
        run: Calls a model, which may lie on the meta device, such as ``lambda: model(images)``.
    """
    counter = FlopCounterMode(display=False, custom_mapping=_MAPPING)
    with torch.no_grad(), counter:
        run()
    return counter.get_total_flops() // 2
