"""MSG-Transformer (Fang et al., CVPR 2022, arXiv 2105.15168).

New in it: messenger tokens. Every window has one, which attends in the window together with its patches; between
attention and MLP the messengers of a region of windows exchange slices of their channels, and that is all that windows
tell each other (there are no shifts, and no masks).

Facts from hustvl/MSG-Transformer@068da56 (Apache-2.0), classification code: nothing differs in the mathematics where
that runs. It takes multiples of 7 windows of its regions, and no dense code and no weights were published. For other
sizes the rule is ours, and agrees with the published detection FLOPs: windows hold the patches that exist, and a slice
that would come from a window beyond the border stays with its messenger.
"""
from typing import List, NamedTuple, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import (ConvEmbed, DropPath, Groups, Mlp, RelativePositionBias, crop_bias, group_attention, list_windows,
                      reorder, sort_windows)
from ..registry import MODELS
from .base import Backbone, Stage

SIDE = 7
WINDOW = (SIDE, SIDE)


class Layout(NamedTuple):
    """Where the tokens of a stage stand: sorted by window, the messenger first in each.

    Attributes:
        groups: The order of the tokens, counted over the patches of all images and then over their messengers.
        image: (tokens, ), the image that each place belongs to.
        messengers: (B * windows, ), the place of each messenger; windows are counted row-major.
        slices: (B * windows * G, ), whence each slice of these messengers comes in an exchange in regions of G
            windows; counted over the slices of all places.
    """
    groups: Groups
    image: Tensor
    messengers: Tensor
    slices: Tensor


def lay_out(size: Tuple[int, int, int], region: int, device: torch.device) -> Layout:
    """The layout of maps of size (B, H, W) with square regions of ``region`` windows a side."""
    B, H, W = size
    m, n = -(-H // SIDE), -(-W // SIDE)
    windows, shapes, images = [], [], []
    for patches in list_windows(size, WINDOW, False, device):
        first = patches[:, 0, :1]
        image, y, x = first // (H * W), first // W % H, first % W
        messenger = B * H * W + (image * m + y // SIDE) * n + x // SIDE
        windows.append(torch.cat([messenger, patches.flatten(1)], dim=1))
        shapes.append(tuple(patches.shape[1:]))
        images.append(image.expand_as(windows[-1]).flatten())
    groups = sort_windows(windows, shapes)
    messengers = groups.inverse[B * H * W:]

    # Window p of a region gives its slice s to window s, as slice p (section 3.3).
    count = region**2
    s = torch.arange(count, device=device)
    y, x = torch.arange(m, device=device)[:, None, None], torch.arange(n, device=device)[:, None]
    from_y, from_x = y - y % region + s // region, x - x % region + s % region
    exists = (from_y < m) & (from_x < n)  # (m, n, count)
    source = torch.where(exists, from_y * n + from_x, y * n + x)
    slices = messengers.view(B, -1)[:, source] * count + torch.where(exists, y % region * region + x % region, s)
    return Layout(groups, torch.cat(images), messengers, slices.flatten())


class MessengerEmbed(ConvEmbed):
    """The stem, and the messengers to start with: one learned vector for each position of a window in its region.

    Args:
        in_dim: Channels of the image.
        dim: Channels of the result.
        region: Windows a side of the regions of the first stage.
    """

    def __init__(self, in_dim: int, dim: int, region: int) -> None:
        super().__init__(in_dim, dim, 7, stride=4, padding=2)
        self.region = region
        self.msg_tokens = nn.Parameter(torch.zeros(1, region**2, 1, dim))
        nn.init.trunc_normal_(self.msg_tokens, std=.02)

    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        """The image (B, H, W, in_dim) -> the map (B, H', W', dim), and the messengers (B, m, n, dim) of m * n windows"""
        x = super().forward(x)
        m, n = [-(-side // SIDE) for side in x.shape[1:3]]
        tokens = self.msg_tokens.view(self.region, self.region, -1)
        tokens = tokens.repeat(-(-m // self.region), -(-n // self.region), 1)[:m, :n]
        return x, tokens.to(x.dtype).expand(len(x), -1, -1, -1)


class MessengerAttention(nn.Module):
    """Softmax attention of the patches of a window and its messenger (section 3.2).

    Args:
        dim: Channels.
        num_heads: Heads.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.position = RelativePositionBias(WINDOW, num_heads)
        # For patches that look at the messenger, and for the messenger that looks at anything. The latter is the same
        # for all keys and changes nothing; published models have it.
        self.rel_pos_msg = nn.Parameter(torch.zeros(num_heads, 2, 1, 1))
        nn.init.trunc_normal_(self.rel_pos_msg, std=.02)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def bias(self, shapes: Sequence[Tuple[int, int]]) -> List[Tensor]:
        """(heads, 1 + h * w, 1 + h * w) for windows of each shape (h, w)."""
        position = self.position()
        parts = [crop_bias(position, WINDOW, shape) for shape in shapes]
        messenger = self.rel_pos_msg[:, 0]
        return [F.pad(torch.cat([messenger.expand(-1, part.shape[1], 1), part], 2), (0, 0, 1, 0)) for part in parts]

    def forward(self, x: Tensor, groups: Groups) -> Tensor:
        """Sorted tokens (tokens, C) -> (tokens, C)"""
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return self.proj(group_attention(q, k, v, groups, self.num_heads, self.bias(groups.shapes)))


class MessengerBlock(nn.Module):
    """Attention, exchange of the messengers, MLP, with residuals (section 3.3).

    Args:
        dim: Channels.
        num_heads: Heads.
        mlp_ratio: Of the MLP.
        drop_path: Rate of stochastic depth. An image's tokens are dropped together; the authors drop region by region.
    """

    def __init__(self, dim: int, num_heads: int, mlp_ratio: float, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = MessengerAttention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def drop(self, branch: Tensor, layout: Layout, images: int) -> Tensor:
        if not self.training or self.drop_path.rate == 0:
            return branch
        return branch * self.drop_path(branch.new_ones(images, 1))[layout.image]

    def forward(self, x: Tensor, layout: Layout, images: int) -> Tensor:
        """Sorted tokens (tokens, C) of a number of images -> (tokens, C)"""
        x = x + self.drop(self.attn(self.norm1(x), layout.groups), layout, images)
        count = len(layout.slices) // len(layout.messengers)
        if count > 1:
            messengers = x.view(-1, x.shape[1] // count).index_select(0, layout.slices)
            x = x.index_copy_(0, layout.messengers, messengers.view(-1, x.shape[1]))
        return x + self.drop(self.mlp(self.norm2(x)), layout, images)


class MessengerStage(Stage):
    """Merges patches, and messengers like them; sorts the tokens by window once for all blocks.

    Args:
        blocks, downsample, with_cp: As `Stage`.
        region: Windows a side of the regions in which messengers are exchanged.
    """

    def __init__(self, blocks: Sequence[nn.Module], downsample: nn.Module, with_cp: bool, region: int) -> None:
        super().__init__(blocks, downsample, with_cp)
        self.region = region

    def forward(self, x: Tuple[Tensor, Tensor]) -> Tuple[Tensor, Tensor]:
        """The map (B, H, W, C) and the messengers (B, m, n, C) -> the same of this stage"""
        # ceil(ceil(H / 7) / 2) = ceil(ceil(H / 2) / 7): merged messengers are just those of the new windows
        x = [self.downsample(part) for part in x]
        sizes, lengths = zip(*((part.shape, part[..., 0].numel()) for part in x))
        layout = lay_out(sizes[0][:3], self.region, x[0].device)
        index, inverse = layout.groups.index, layout.groups.inverse
        x = reorder(torch.cat([part.flatten(0, 2) for part in x]), index, inverse)
        for block in self.blocks:
            x = self.run(block, x, layout, sizes[0][0])
        parts = reorder(x, inverse, index).split(lengths)
        return tuple(part.view(size) for part, size in zip(parts, sizes))


@MODELS.register_module()
class MSGTransformer(Backbone):
    """MSG-Transformer; arguments and contract in `Backbone`, and

    Args:
        shuffle_sizes: Windows a side of the regions in which messengers are exchanged, a value a stage; its square
            must divide the stage's channels. No weight depends on them but for the first. (4, 4, 2, 1) is the
            classification models'; for detection and segmentation use (4, 4, 8, 4), the paper's (as recollected).

    The authors have no norms on the outputs (``out_norm``); ours are LayerNorms, as Swin's detectors have them.
    """

    family = 'msg_transformer'
    # The authors' README and configs, second version of the architecture (December 2021).
    archs = {
        name: dict(dims=tuple(dim * 2**i for i in range(4)), depths=depths, num_heads=heads, mlp_ratio=4)
        for name, dim, depths, heads in (
            ('tiny',  64, (2, 4, 12, 4), (2, 4, 8, 16)),
            ('small', 96, (2, 4, 12, 4), (3, 6, 12, 24)),
            ('base',  96, (2, 4, 28, 4), (3, 6, 12, 24)),
        )
    }  # yapf: disable
    options = dict(shuffle_sizes=(4, 4, 2, 1))
    no_decay = ('relative_position_bias_table', 'rel_pos_msg')

    def build_patch_embed(self) -> nn.Module:
        dims = self.spec['dims']
        self._check(
            len(self.shuffle_sizes) == len(dims) and all(r > 0 and C % r**2 == 0 for r, C in zip(self.shuffle_sizes, dims)),
            f'shuffle_sizes to be {len(dims)} numbers whose squares divide the channels {dims}', self.shuffle_sizes)
        return MessengerEmbed(self.in_channels, dims[0], self.shuffle_sizes[0])

    def build_stage(self, i: int, drop_path: Sequence[float]) -> nn.Module:
        dims = self.spec['dims']
        downsample = ConvEmbed(dims[i - 1], dims[i], 3, stride=2, padding=1) if i else None
        blocks = [
            MessengerBlock(dims[i], self.spec['num_heads'][i], self.spec['mlp_ratio'], rate) for rate in drop_path
        ]
        return MessengerStage(blocks, downsample, self.with_cp, self.shuffle_sizes[i])

    def level(self, x: Tuple[Tensor, Tensor]) -> Tensor:
        """The map; the messengers, which go with it from stage to stage, stay behind."""
        return x[0]

    def pool(self, x: Tuple[Tensor, Tensor]) -> Tensor:
        """The normed messenger of the window that the authors' sizes, 224 to 226, leave; the mean of those of larger maps."""
        return self.norm(x[1]).mean((1, 2))

    rename = (
        (r'^msg_tokens$', 'patch_embed.msg_tokens'),
        (r'^layers\.(\d)\.downsample\.', lambda match: f'stages.{int(match[1]) + 1}.downsample.'),
        (r'\.downsample\.reduction\.', '.downsample.proj.'),
        (r'^layers\.', 'stages.'),
        (r'\.relative_position_index$', None),
        (r'\.relative_position_bias_table$', '.position.relative_position_bias_table'),
        (r'^head\.', None),
    )
