"""What stands between a column and a detector's heads."""
from typing import Optional, Sequence, Tuple

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from .registry import MODELS


@MODELS.register_module()
class LN2d(nn.LayerNorm):
    """LayerNorm over the channels of every pixel, (B, C, H, W) -> (B, C, H, W), for ``norm_cfg`` of necks and heads.

    Args:
        dim: Channels.
        eps: Added to the variance.
    """

    def __init__(self, dim: int, eps: float = 1e-6) -> None:
        super().__init__(dim, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@MODELS.register_module()
class SimpleFeaturePyramid(BaseModule):
    """The second half of ViTDet's simple feature pyramid (arXiv 2203.16527), behind a backbone with ``pyramid='last'``.

    Every level by itself: a 1 x 1 convolution to the channels of the heads, LN2d, a 3 x 3 convolution, LN2d. No path leads
    from level to level. Facts from detectron2@02b5c4e (Apache-2.0).

    Args:
        in_channels: Of each level.
        out_channels: Of all levels that it returns.
        num_outs: Levels that it returns; those beyond the backbone's are every other pixel of the one before.
        init_cfg: As for every module of mmengine's.
    """

    def __init__(self,
                 in_channels: Sequence[int],
                 out_channels: int = 256,
                 num_outs: int = 5,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if num_outs < len(in_channels):
            raise ValueError(f'SimpleFeaturePyramid expects num_outs of at least {len(in_channels)}, the number of levels that '
                             f'it gets, but got {num_outs}')
        self.in_channels = list(in_channels)
        self.num_outs = num_outs
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(dim, out_channels, 1, bias=False), LN2d(out_channels),
                nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False), LN2d(out_channels)) for dim in in_channels)

    def forward(self, inputs: Sequence[Tensor]) -> Tuple[Tensor, ...]:
        """Levels (B, C, H, W), of strides 4, 8, ... -> as many and more, (B, out_channels, H, W), contiguous.

        Raises:
            ValueError: There are not as many as ``in_channels`` has.
        """
        if len(inputs) != len(self.levels):
            raise ValueError(f'SimpleFeaturePyramid expects {len(self.levels)} levels, but got {len(inputs)}')
        outs = [level(x).contiguous() for level, x in zip(self.levels, inputs)]
        while len(outs) < self.num_outs:
            outs.append(F.max_pool2d(outs[-1], 1, stride=2))
        return tuple(outs)
