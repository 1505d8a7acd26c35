"""SG-Former (Ren et al., "SG-Former: Self-guided Transformer with Evolving Token Reallocation", ICCV 2023, arXiv
2308.12216).

New in it: blocks in pairs. The first of a pair attends to a reduced map and in windows, and measures how much
attention each token receives; the second sorts the tokens by that and merges them into keys, many unimportant tokens
into one and few important ones.

Facts from OliverRensu/SG-Former@b982803 (no licence, nothing copied), classification only. Its attention takes images
in multiples of 224; what other sizes do is this package's own rule, the same function at those sizes.
"""
from typing import Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import (ConvMlp, GroupNorm1, PreNormBlock, attention, conv_map, init_conv_fan_out, merge_windows,
                      pad_to_multiple, resize_position, split_windows, widen)
from ..registry import MODELS
from .base import Backbone, Stage

WINDOW = (7, 7)
REDUCTIONS = (8, 4, 2)
"""Of the maps that hybrid attention reads in the first three stages."""
RUNS = ((196, 56, 28), (49, 14, 7), (2, 1))
"""Sorted tokens that become one key in each group of guided attention, by stage, from the least important group on."""
SHARES = {3: (.25, .5, .25), 2: (.5, .5)}
"""Of the sorted tokens that each group takes, by the number of groups."""
CHUNK = 2**22
"""Logits an image that `attention_received` holds at a time."""


class ConvNorm(nn.Module):
    """A convolution without bias and a norm over the whole map, on maps."""

    def __init__(self, in_dim: int, dim: int, kernel_size: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_dim, dim, kernel_size, stride, kernel_size // 2, groups=groups, bias=False)
        self.norm = GroupNorm1(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(conv_map(self.conv, x))


class Stem(nn.Module):
    """Three convolutions to a quarter of the resolution, a LayerNorm, and a learned position table of 56 x 56 tokens.

    For other sizes the table is resized at run time (bicubic).

    Args:
        in_channels: Of the image.
        dim: Channels of the map.
    """

    def __init__(self, in_channels: int, dim: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            ConvNorm(in_channels, dim, 3, stride=2), nn.GELU(), ConvNorm(dim, dim, 3), nn.GELU(),
            ConvNorm(dim, dim, 3, stride=2))
        self.norm = nn.LayerNorm(dim)
        frequency = 10000**(-torch.arange(dim // 4) / (dim // 4))
        angle = torch.arange(56)[:, None] * frequency
        wave = torch.cat([angle.sin(), angle.cos()], dim=1)  # (56, dim / 2)
        table = torch.cat([wave.expand(56, 56, -1), wave[:, None].expand(56, 56, -1)], dim=2)
        self.pos_embed = nn.Parameter(table.reshape(1, 56 * 56, dim))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return x + resize_position(self.pos_embed.view(1, 56, 56, -1), x.shape[1:3], 'bicubic')


class Attention(nn.Module):
    """What the three kinds of attention have in common: the output is proj(heads + locally enhanced position).

    Each is called with a map (B, H, W, C) and the importance of its tokens (B, H, W) or None, and returns a map and
    the importance that the next block is to use.

    Args:
        dim: Channels.
        num_heads: Heads.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.lepe_linear = nn.Linear(dim, dim)
        self.lepe_conv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.proj = nn.Linear(dim, dim)

    def project(self, x: Tensor, out: Tensor) -> Tensor:
        """(B, H, W, C), what was attended from, and the heads' results (B, H * W, C) -> (B, H, W, C)"""
        return self.proj(out.view(x.shape) + conv_map(self.lepe_conv, self.lepe_linear(x)))


class PlainAttention(Attention):
    """Attention of all tokens to all."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__(dim, num_heads)
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)

    def forward(self, x: Tensor, importance: Optional[Tensor] = None) -> Tuple[Tensor, Optional[Tensor]]:
        tokens = x.flatten(1, 2)
        k, v = self.kv(tokens).chunk(2, dim=-1)
        q, k, v = [split_heads(part, self.num_heads) for part in (self.q(tokens), k, v)]
        return self.project(x, attention(q, k, v)), None


class HybridAttention(Attention):
    """Half of the heads attend to a reduced map, half in windows; the attention a token receives is its importance.

    Windows are cut from the map padded at the end; padded keys are masked, and padded queries count for nothing. The
    importance is a token's share of the attention of its window plus the share that its place in the reduced map has
    of the attention of all. It carries no gradient and has float32 under autocast.

    Args:
        dim: Channels.
        num_heads: Heads, an even number.
        reduction: Side of the square of tokens that becomes one token of the reduced map.
    """

    def __init__(self, dim: int, num_heads: int, reduction: int) -> None:
        super().__init__(dim, num_heads)
        self.reduction = reduction
        self.q1 = nn.Linear(dim, dim // 2)
        self.sr = nn.Conv2d(dim, dim, reduction, reduction)
        self.norm = nn.LayerNorm(dim)
        self.act = nn.GELU()
        self.kv1 = nn.Linear(dim, dim)
        self.q2 = nn.Linear(dim, dim // 2)
        self.kv2 = nn.Linear(dim, dim)

    def forward(self, x: Tensor, importance: Optional[Tensor] = None) -> Tuple[Tensor, Optional[Tensor]]:
        reduced, seen = self.attend_reduced(x)
        window, shares = self.attend_windows(x)
        return self.project(x, torch.cat([reduced, window], dim=-1)), seen + shares

    def attend_reduced(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        """(B, H, W, C) -> (B, H * W, C / 2) and the attention received, (B, H, W)"""
        _, H, W, _ = x.shape
        padded, _, _ = pad_to_multiple(x, (self.reduction, self.reduction))
        reduced = self.act(self.norm(conv_map(self.sr, padded)))
        k, v = self.kv1(reduced.flatten(1, 2)).chunk(2, dim=-1)
        q, k, v = [split_heads(part, self.num_heads // 2) for part in (self.q1(x.flatten(1, 2)), k, v)]
        seen = attention_received(q, k).view(reduced.shape[:3])
        seen = seen.repeat_interleave(self.reduction, 1).repeat_interleave(self.reduction, 2)
        return attention(q, k, v), seen[:, :H, :W]

    def attend_windows(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        """As `attend_reduced`, in windows."""
        B, H, W, C = x.shape
        padded, _, _ = pad_to_multiple(x, WINDOW)
        size = padded.shape[1:3]
        tokens = split_windows(padded, WINDOW).flatten(1, 2)  # (windows, 49, C)
        k, v = self.kv2(tokens).chunk(2, dim=-1)
        q, k, v = [split_heads(part, self.num_heads // 2) for part in (self.q2(tokens), k, v)]
        logits = widen(q * q.shape[-1]**-.5 @ k.transpose(-2, -1))
        if size == (H, W):
            weights = logits.softmax(-1)
            received = weights.detach().mean((1, 2))
        else:
            real = F.pad(x.new_ones(1, H, W, 1), (0, 0, 0, size[1] - W, 0, size[0] - H))
            real = split_windows(real, WINDOW).flatten(1).repeat(B, 1)  # (windows, 49)
            weights = logits.masked_fill(real[:, None, None] == 0, -torch.inf).softmax(-1)
            # A mean over 49 queries also where some are padding, so that no border is favoured.
            received = (weights.detach() * real[:, None, :, None]).mean((1, 2))
        out = (weights.to(v.dtype) @ v).transpose(1, 2).reshape(-1, *WINDOW, C // 2)
        out = merge_windows(out, size)[:, :H, :W].flatten(1, 2)
        return out, merge_windows(received.view(-1, *WINDOW, 1), size)[:, :H, :W, 0]


class GuidedAttention(Attention):
    """Attention of all tokens to runs of tokens of like importance, merged by learned weights.

    The sorted list is cut into groups, and each group into runs of its own length. Where the runs don't come out even,
    the least important token is repeated.

    Args:
        dim: Channels.
        num_heads: Heads, an even number.
        runs: Tokens a run in each group.
    """

    def __init__(self, dim: int, num_heads: int, runs: Sequence[int]) -> None:
        super().__init__(dim, num_heads)
        self.runs = runs
        self.shares = SHARES[len(runs)]
        self.q = nn.Linear(dim, dim)
        self.kv1 = nn.Linear(dim, dim)
        self.kv2 = nn.Linear(dim, dim)
        for i, length in enumerate(runs):
            self.add_module(f'f{i + 1}', nn.Linear(length, 1))

    def forward(self, x: Tensor, importance: Optional[Tensor] = None) -> Tuple[Tensor, Optional[Tensor]]:
        merged = self.merge(x, importance)
        # Half of the heads have their keys and values from kv1, half from kv2.
        k, v = torch.stack([self.kv1(merged), self.kv2(merged)], dim=2).chunk(2, dim=-1)
        q = split_heads(self.q(x.flatten(1, 2)), self.num_heads)
        k, v = [split_heads(part.flatten(2), self.num_heads) for part in (k, v)]
        return self.project(x, attention(q, k, v)), None

    def merge(self, x: Tensor, importance: Tensor) -> Tensor:
        """(B, H, W, C) and (B, H, W) -> (B, keys, C)"""
        B, H, W, C = x.shape
        order = sorted_order(importance.flatten(1))
        order = torch.cat([order[:, :1].expand(-1, -H * W % int(self.runs[0] / self.shares[0])), order], dim=1)
        order = order + torch.arange(0, B * H * W, H * W, device=x.device)[:, None]
        tokens = x.reshape(-1, C).index_select(0, order.flatten()).view(B, -1, C)
        groups = tokens.split([int(tokens.shape[1] * share) for share in self.shares], dim=1)
        merged = []
        for i, (group, length) in enumerate(zip(groups, self.runs)):
            linear = getattr(self, f'f{i + 1}')
            runs = group.reshape(-1, length, C)
            merged.append(torch.bmm(linear.weight.expand(len(runs), 1, length), runs).view(B, -1, C) + linear.bias)
        return torch.cat(merged, dim=1)


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """(B, N, C) -> (B, num_heads, N, C / num_heads)"""
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def sorted_order(x: Tensor) -> Tensor:
    """The indices that sort each row of x, (B, N); equal values stay in their order, as in a stable sort.

    A stable sort has no form in ONNX: here a sort of integers, which are all different, follows one of values.
    """
    values, index = x.sort()
    rank = F.pad(values[:, 1:] != values[:, :-1], (1, 0)).long().cumsum(1)
    return (rank * x.shape[1] + index).sort().values % x.shape[1]


@torch.no_grad()
def attention_received(q: Tensor, k: Tensor) -> Tensor:
    """Mean over heads and queries of the attention that each key gets, (B, K), without holding the whole map.

    Args:
        q: Queries, (B, heads, N, d).
        k: Keys, (B, heads, K, d).
    """
    heads, queries, d = q.shape[1:]
    k = k.transpose(-2, -1) * d**-.5
    total = 0
    for part in q.split(max(1, CHUNK // (heads * k.shape[-1])), dim=2):
        total = total + widen(part @ k).softmax(-1).sum((1, 2))
    return total / (heads * queries)


class ResidualConvMlp(ConvMlp):
    """A `ConvMlp` whose activation gets the map plus its convolution."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x)
        return self.fc2(self.act(x + conv_map(self.dwconv, x)))


class SGFormerBlock(PreNormBlock):
    """A `PreNormBlock` that takes the importance of the tokens with the map, and returns what the next block needs."""

    def forward(self, x: Tensor, importance: Optional[Tensor] = None) -> Tuple[Tensor, Optional[Tensor]]:
        out, importance = self.attn(self.norm1(x), importance)
        x = x + self.drop_path(out)
        return x + self.drop_path(self.mlp(self.norm2(x))), importance


class SGFormerStage(Stage):
    """A stage in which each block hands the importance of the tokens to the next."""

    def forward(self, x: Tensor) -> Tensor:
        x, importance = self.downsample(x), None
        for block in self.blocks:
            x, importance = self.run(block, x, importance)
        return x


@MODELS.register_module()
class SGFormer(Backbone):
    """SG-Former; arguments and contract in `Backbone`.

    Group norms in the stem and between stages take in the whole map, so that the padding of an image changes all its
    features. The order of the tokens hangs on differences of one part in 10 ** 9: a rounding error anywhere reorders
    neighbours in the list, and with random weights that alone moves single features by up to 0.4 standard deviations.
    Compare implementations in float64.
    """

    family = 'sg_former'
    # Variants of the authors' code.
    archs = {
        's': dict(dims=(64, 128, 256, 512), depths=(2, 4, 16, 1), num_heads=(2, 4, 8, 16),  mlp_ratio=4),
        'm': dict(dims=(64, 128, 256, 512), depths=(2, 6, 28, 2), num_heads=(2, 4, 8, 16),  mlp_ratio=4),
        'b': dict(dims=(96, 192, 384, 768), depths=(4, 6, 24, 2), num_heads=(4, 6, 12, 24), mlp_ratio=4),
    }  # yapf: disable
    norms = pooled_norms = 'trunk'
    no_decay = ('pos_embed', )  # the authors' list has it under a name that their model does not know

    def build_patch_embed(self) -> nn.Module:
        return Stem(self.in_channels, self.spec['dims'][0])

    def build_stage(self, i: int, drop_path: Sequence[float]) -> nn.Module:
        dim, num_heads = self.spec['dims'][i], self.spec['num_heads'][i]
        blocks = []
        for j, rate in enumerate(drop_path):
            if i == len(RUNS):
                attn = PlainAttention(dim, num_heads)
            elif j % 2:
                attn = GuidedAttention(dim, num_heads, RUNS[i])
            else:
                attn = HybridAttention(dim, num_heads, REDUCTIONS[i])
            mlp = ResidualConvMlp(dim, self.spec['mlp_ratio'] * dim)
            blocks.append(SGFormerBlock(dim, attn, mlp, rate, eps=1e-6))
        if i == 0:
            return SGFormerStage(blocks, None, self.with_cp)
        downsample = nn.Sequential(
            ConvNorm(self.spec['dims'][i - 1], dim, 1), nn.GELU(),
            ConvNorm(dim, dim, 3, stride=2, groups=dim), nn.GELU(), ConvNorm(dim, dim, 1))
        return SGFormerStage(blocks, downsample, self.with_cp)

    def build_norm(self, i: int) -> nn.Module:
        return nn.LayerNorm(self.spec['dims'][i], eps=1e-6)

    def init_module(self, module: nn.Module) -> None:
        super().init_module(module)
        if isinstance(module, nn.Conv2d):
            init_conv_fan_out(module)

    rename = (
        (r'^pos_embed$', 'patch_embed.pos_embed'),
        (r'^patch_embed1\.', 'patch_embed.'),
        (r'^patch_embed([234])\.conv([123])\.',
         lambda match: f'stages.{int(match[1]) - 1}.downsample.{2 * int(match[2]) - 2}.'),
        (r'\.c\.weight$', '.conv.weight'),
        (r'\.bn\.', '.norm.'),
        (r'^block(\d)\.', lambda match: f'stages.{int(match[1]) - 1}.blocks.'),
        (r'\.dwconv\.dwconv\.', '.dwconv.'),
        (r'^norm(\d)\.', lambda match: f'norm{int(match[1]) - 1}.'),
        (r'^head\.', None),
    )
