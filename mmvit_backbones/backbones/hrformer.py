"""HRFormer (Yuan et al., "HRFormer: High-Resolution Transformer for Dense Prediction", NeurIPS 2021, arXiv 2110.09408).

New in it: the branches of HRNet, maps of stride 4 to 32 that are kept side by side to the end and exchange what they
have after every second block, made of transformer blocks: attention in windows, which do not overlap, and an MLP with a
depth-wise convolution, by which the windows see each other.

Facts from HRNet/HRFormer@1245b88 (MIT), the segmentation code, and the classification code, whose trunk computes the
same but can not pad windows. Left out: the exchange of the pose code, which enlarges maps in another way.
"""
import re
from typing import List, Optional, Sequence, Tuple, Union

import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import (Bottleneck, NormedConvs, NormedMlp, PreNormBlock, RelativePositionBias, attention, conv_map, conv_norm,
                      drop_path_rates, merge_windows, normed_conv, pad_to_multiple, split_windows)
from ..registry import MODELS
from .base import Backbone, Stage

EPS = 1e-6
"""Of the LayerNorms."""
STEM_DIM = 64
EXPANSION = 4
"""Of the channels inside a bottleneck to those it returns."""
BLOCKS = 2
"""Transformer blocks of a branch between two exchanges."""
POOLED_DIMS = (128, 256, 512, 1024, 2048)
"""Channels of the classifier: what each branch is widened to, and what is pooled."""


class Stem(nn.Module):
    """Two 3x3 convolutions with batch norm and ReLU, to a quarter of the image's size.

    Args:
        in_dim: Channels of the image.
    """

    def __init__(self, in_dim: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(in_dim, STEM_DIM, 3, 2)
        self.conv2, self.bn2 = conv_norm(STEM_DIM, STEM_DIM, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, in_dim) -> (B, H / 4, W / 4, 64)"""
        x = F.relu(normed_conv(self.conv1, self.bn1, x.permute(0, 3, 1, 2)), inplace=True)
        return F.relu(normed_conv(self.conv2, self.bn2, x), inplace=True).permute(0, 2, 3, 1)


class WindowAttention(nn.Module):
    """Softmax attention inside square windows with a bias for positions, (B, H, W, C) -> (B, H, W, C).

    The map is padded on all sides. Padded tokens are zeros before the projections and take part in the softmax with
    what the bias of these makes of them.

    Args:
        dim: Channels.
        num_heads: Heads.
        window: Side of a window in tokens.
    """

    def __init__(self, dim: int, num_heads: int, window: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.position = RelativePositionBias((window, window), num_heads, 'bilinear')
        self.q_proj = nn.Linear(dim, dim)
        self.k_proj = nn.Linear(dim, dim)
        self.v_proj = nn.Linear(dim, dim)
        self.out_proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        H, W = x.shape[1:3]
        window = self.position.window
        x, top, left = pad_to_multiple(x, window, 'centre')
        size = x.shape[1:3]
        x = split_windows(x, window).flatten(1, 2)
        # each (windows, heads, tokens, d)
        q, k, v = [
            project(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        ]
        x = self.out_proj(attention(q, k, v, self.position()[None]))
        return merge_windows(x.unflatten(1, window), size)[:, top:top + H, left:left + W]


class ActivatedMlp(NormedMlp):
    """A `NormedMlp` with a GELU at its end, too, before the residual."""

    def after(self, x: Tensor) -> Tensor:
        return F.gelu(super().after(x))


class Exchange(nn.ModuleList):
    """What one branch gets of all, added up: larger maps by strided convolutions, smaller ones enlarged.

    Args:
        dims: Channels of the branches.
        i: The branch that gets.
    """

    def __init__(self, dims: Sequence[int], i: int) -> None:
        super().__init__(self.path(dims, i, j) for j in range(len(dims)))
        self.i = i

    def path(self, dims: Sequence[int], i: int, j: int) -> nn.Module:
        """From branch j."""
        if j >= i:
            return nn.Identity() if j == i else NormedConvs(*conv_norm(dims[j], dims[i]))
        steps = []
        for k in range(j + 1, i + 1):
            down, mix = conv_norm(dims[j], dims[j], 3, 2, dims[j]), conv_norm(dims[j], dims[i] if k == i else dims[j])
            steps.append(NormedConvs(*down, *mix, nn.Identity() if k == i else nn.ReLU(inplace=True)))
        return nn.Sequential(*steps)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """A map (B, H, W, C) of each branch -> one of branch i"""
        maps = [x.permute(0, 3, 1, 2) for x in maps]
        size = maps[self.i].shape[2:]
        out = 0
        for j, (path, x) in enumerate(zip(self, maps)):
            x = path(x)
            if j > self.i:
                x = F.interpolate(x, scale_factor=2**(j - self.i))  # nearest
                if x.shape[2:] != size:  # those of maps with odd sides
                    x = F.interpolate(x, size, mode='bilinear', align_corners=True)
            out = out + x if j else x
        return F.relu(out).permute(0, 2, 3, 1)


class Transition(nn.ModuleList):
    """Adds a branch, of half the size, made of the last one; the first transition also fits branch 0 to its channels.

    Args:
        in_dims: Channels of the branches there are.
        dims: Channels of those there will be.
    """

    def __init__(self, in_dims: Sequence[int], dims: Sequence[int]) -> None:
        super().__init__()
        for in_dim, dim in zip(in_dims, dims):
            self.append(nn.Identity() if in_dim == dim else NormedConvs(*conv_norm(in_dim, dim, 3), nn.ReLU(inplace=True)))
        self.append(NormedConvs(*conv_norm(in_dims[-1], dims[-1], 3, 2), nn.ReLU(inplace=True)))

    def forward(self, x: Union[Tensor, Tuple[Tensor, ...]]) -> List[Tensor]:
        """A map (B, H, W, C) of each branch, or the one map of the first stage -> the same and one more"""
        maps = (x, ) if isinstance(x, Tensor) else x
        return [conv_map(conv, x) for conv, x in zip(self, (*maps, maps[-1]))]


class ParallelBlock(nn.Module):
    """Transformer blocks on each branch, then the exchange between all ("module" in the authors' code).

    Args:
        branches: The blocks of each branch, from map to map.
        dims: Channels of the branches.
        levels: The branches that are returned.
    """

    def __init__(self, branches: Sequence[nn.Module], dims: Sequence[int], levels: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.fuse_layers = nn.ModuleDict({str(i): Exchange(dims, i) for i in levels})

    def forward(self, *maps: Tensor) -> Tuple[Tensor, ...]:
        """A map (B, H, W, C) of each branch -> the same of ``levels``"""
        maps = [branch(x) for branch, x in zip(self.branches, maps)]
        return tuple(exchange(maps) for exchange in self.fuse_layers.values())


class Pooling(nn.Module):
    """The classifier's way from the maps of all branches to the one that is pooled, which is HRNet's.

    Args:
        dims: Channels of the branches.
    """

    def __init__(self, dims: Sequence[int]) -> None:
        super().__init__()
        *widths, dim = POOLED_DIMS
        self.incre_modules = nn.ModuleList(
            Bottleneck(in_dim, width // EXPANSION, width, depthwise=True) for in_dim, width in zip(dims, widths))
        self.downsamp_modules = nn.ModuleList(
            NormedConvs(
                nn.Conv2d(width, width, 3, 2, 1, groups=width), nn.BatchNorm2d(width), nn.Conv2d(width, wider, 1),
                nn.BatchNorm2d(wider), nn.ReLU()) for width, wider in zip(widths, widths[1:]))
        self.final_layer = NormedConvs(nn.Conv2d(widths[-1], dim, 1), nn.BatchNorm2d(dim), nn.ReLU())

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """A map (B, H, W, C) of each branch -> (B, H / 8, W / 8, 2048), H and W the first one's"""
        x, *others = [widen(x) for widen, x in zip(self.incre_modules, maps)]
        for downsample, other in zip(self.downsamp_modules, others):
            x = other + conv_map(downsample, x)
        return conv_map(self.final_layer, x)


class ParallelStage(Stage):
    """Adds a branch, then blocks on all; from maps to maps, or with a pooling to what that makes of them.

    Args:
        blocks, downsample, with_cp: As `Stage`.
        pooling: The classifier's, in its last stage.
    """

    def __init__(self, blocks: Sequence[nn.Module], downsample: nn.Module, with_cp: bool,
                 pooling: Optional[nn.Module] = None) -> None:
        super().__init__(blocks, downsample, with_cp)
        self.pooling = nn.Identity() if pooling is None else pooling

    def forward(self, x: Union[Tensor, Tuple[Tensor, ...]]) -> Union[Tuple[Tensor, ...], Tensor]:
        x = self.downsample(x)
        for block in self.blocks:
            x = self.run(block, *x)
        return self.pooling(x)


@MODELS.register_module()
class HRFormer(Backbone):
    """HRFormer; arguments and contract in `Backbone`.

    A stage is one of the authors': bottlenecks at stride 4, then two, three and four branches. All levels come from the
    last stage, so that ``out_indices`` save no more than the exchanges of other levels behind the last blocks, and
    ``frozen_stages`` may be 4 whatever they are. The levels are not normalised, so there are no norms.

    A block, by which ``with_cp`` recomputes and learning rates decay, is a bottleneck, or two transformer blocks of
    each branch with the exchange behind them. Stochastic depth grows from one block of a branch to the next.
    """

    family = 'hrformer'
    # The authors' configs. Depths count bottlenecks in the first stage, and exchanges in the others.
    archs = {
        name: dict(dims=tuple(C * 2**i for i in range(4)), depths=(2, 1, depth, 2),
                   num_heads=tuple(heads * 2**i for i in range(4)), window=7, mlp_ratio=4)
        for name, C, depth, heads in (
            ('hrformer_t', 18, 3, 1),
            ('hrformer_s', 32, 4, 1),
            ('hrformer_b', 78, 4, 2),
        )
    }  # yapf: disable
    norms = pooled_norms = None
    parallel = True
    pooled_dim = POOLED_DIMS[-1]
    new_keys = ()
    pooled_keys = (r'stages\.3\.pooling\.', )
    head_keys = {'classifier.': 'head.fc.'}
    no_decay = ('relative_position_bias_table', )

    def build_patch_embed(self) -> nn.Module:
        depths = self.spec['depths']
        self._check(len(depths) == 4 and min(depths) > 0, "arch['depths'] to be four numbers above 0", depths)
        return Stem(self.in_channels)

    def build_stage(self, i: int, drop_path: Sequence[Sequence[float]]) -> nn.Module:
        spec, dims = self.spec, self.spec['dims'][:i + 1]
        dim = EXPANSION * STEM_DIM
        if i == 0:
            blocks = [Bottleneck(dim if j else STEM_DIM, STEM_DIM, dim) for j in range(spec['depths'][0])]
            return Stage(blocks, None, self.with_cp)
        blocks = []
        for j, rates in enumerate(drop_path, 1):
            last = i == 3 and j == spec['depths'][3] and self.out_type == 'featmap'
            branches = [nn.Sequential(*(self.build_block(b, rate) for rate in rates)) for b in range(i + 1)]
            blocks.append(ParallelBlock(branches, dims, self.out_indices if last else range(i + 1)))
        pooling = Pooling(dims) if i == 3 and self.out_type == 'pooled' else None
        return ParallelStage(blocks, Transition(dims[:-1] if i > 1 else (dim, ), dims), self.with_cp, pooling)

    def build_block(self, branch: int, rate: float) -> nn.Module:
        dims, heads, window, ratio = (self.spec[key] for key in ('dims', 'num_heads', 'window', 'mlp_ratio'))
        attn = WindowAttention(dims[branch], heads[branch], window)
        return PreNormBlock(dims[branch], attn, ActivatedMlp(dims[branch], int(dims[branch] * ratio)), rate, EPS)

    def drop_path_rates(self, rate: float) -> List[List[Sequence[float]]]:
        """Those of the transformer blocks of each parallel block, the same in all branches; bottlenecks have none."""
        first, *depths = self.spec['depths']
        _, *stages = drop_path_rates(rate, (0, *(BLOCKS * depth for depth in depths)))
        return [[()] * first, *([rates[j:j + BLOCKS] for j in range(0, len(rates), BLOCKS)] for rates in stages)]

    def init_module(self, module: nn.Module) -> None:
        """The authors leave all to PyTorch, but for the tables of positions."""

    def layer_depth(self, name: str) -> int:
        return self.num_layers - 1 if name.startswith('stages.3.pooling.') else super().layer_depth(name)

    def leaves_out(self, name: str) -> bool:
        """Exchanges towards other levels than ``out_indices``, behind the last blocks."""
        last = self.spec['depths'][3] - 1
        exchange = re.match(rf'stages\.3\.blocks\.{last}\.fuse_layers\.([0-3])\.', name)
        return bool(exchange) and self.out_type == 'featmap' and int(exchange[1]) not in self.out_indices

    rename = (
        (r'^(conv|bn)(\d)\.', r'patch_embed.\1\2.'),
        (r'^layer1\.', 'stages.0.blocks.'),
        (r'^transition1\.0\.', 'stages.1.downsample.0.'),
        (r'^transition(\d)\.(\d)\.0\.', r'stages.\1.downsample.\2.'),
        (r'^stage(\d)\.', lambda match: f'stages.{int(match[1]) - 1}.blocks.'),
        (r'\.relative_position_index$', None),
        (r'\.attn\.attn\.', '.attn.'),
        (r'\.(relative_position_bias_table)$', r'.position.\1'),
        (r'^incre_modules\.(\d)\.0\.', r'stages.3.pooling.incre_modules.\1.'),
        (r'^(downsamp_modules|final_layer)\.', r'stages.3.pooling.\1.'),
        (r'^classifier\.', None),
    )
