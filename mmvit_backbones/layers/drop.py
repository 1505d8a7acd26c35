"""Stochastic depth (Huang et al., ECCV 2016)."""
from typing import List, Sequence

from torch import Tensor, nn


class DropPath(nn.Module):
    """Drops a residual branch, sample by sample, and scales what it keeps by 1 / (1 - rate).

    Args:
        rate: Probability of dropping a sample's branch, in [0, 1).
    """

    def __init__(self, rate: float = 0.) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if self.rate == 0. or not self.training:
            return x
        keep = x.new_empty((len(x), ) + (1, ) * (x.dim() - 1)).bernoulli_(1 - self.rate)
        return x * keep.div_(1 - self.rate)

    def extra_repr(self) -> str:
        return f'{self.rate:.4g}'


def drop_path_rates(rate: float, depths: Sequence[int]) -> List[List[float]]:
    """The rate of each block, by stage: from 0 at the first block of the network linearly to ``rate`` at its last."""
    last = max(sum(depths) - 1, 1)
    starts = [sum(depths[:i]) for i in range(len(depths))]
    return [[rate * (start + j) / last for j in range(depth)] for start, depth in zip(starts, depths)]
