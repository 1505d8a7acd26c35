"""For sums that half precision would spoil."""
from contextlib import nullcontext
from typing import ContextManager

import torch
from torch import Tensor


def widen(x: Tensor) -> Tensor:
    """x in float32 where it has less than that."""
    return x if x.dtype == torch.float64 else x.float()


def no_autocast(x: Tensor) -> ContextManager:
    """A context in which autocast leaves operations on the device of x alone."""
    return nullcontext() if x.device.type == 'meta' else torch.autocast(x.device.type, enabled=False)
