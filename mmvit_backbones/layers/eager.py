"""Whether a faster way of the CPU's may be taken."""
import torch
from torch import Tensor

try:
    from torch.compiler import is_compiling
except ImportError:  # PyTorch before 2.3
    from torch._dynamo import is_compiling


def runs_on_cpu(x: Tensor) -> bool:
    """Whether operators on x run at once on a CPU, and are not recorded by a compiler, an exporter or a tracer."""
    return x.is_cpu and not is_compiling() and not torch.jit.is_tracing()
