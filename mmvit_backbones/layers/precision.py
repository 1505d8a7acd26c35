"""For sums that half precision would spoil."""
from contextlib import nullcontext
from typing import ContextManager

import torch
from torch import Tensor


def widen(x: Tensor) -> Tensor:
    """x in float32 where it has less than that."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def no_autocast(x: Tensor) -> ContextManager:
    """A context in which autocast leaves operations on the device of x alone."""
    return nullcontext() if x.device.type == 'meta' else torch.autocast(x.device.type, enabled=False)
