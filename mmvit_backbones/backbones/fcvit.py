"""FCViT (Ma et al., "A Close Look at Spatial Modeling: From Attention to Convolution", arXiv 2212.12552).

New in it: attention is replaced by convolution. What a global query would see is the similarity of each position to
the image's mean, standardised over the whole image, times a gate for each channel; large depth-wise convolutions mix
neighbours.

Facts from ma-xu/FCViT@77e5a9d (Apache-2.0), its dense form; nothing differs in the mathematics.
"""
from typing import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import DepthwiseConv, DropPath, GroupNorm1, conv_map, convolve_between, init_conv_fan_out, no_autocast, widen
from ..registry import MODELS
from .base import Backbone, Stage

NUM_HEADS = 8
KERNEL_SIZE = 11


class ConvNorm(nn.Module):
    """A convolution and a batch norm, on maps: the stem, and the step between two stages."""

    def __init__(self, in_dim: int, dim: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_dim, dim, kernel_size, stride, kernel_size // 2)
        self.norm = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.proj(x.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)


class GlobalContext(nn.Module):
    """Adds the global context to a map: x + similarity to the mean token, by head, * a gate, by channel.

    The similarities of an image are standardised over heads and positions together, with the unbiased deviation and
    epsilon beside it. In float32 under autocast.

    Args:
        dim: Channels, a multiple of 8.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.rescale_weight = nn.Parameter(torch.ones(NUM_HEADS))
        self.rescale_bias = nn.Parameter(torch.zeros(NUM_HEADS))
        self.fc1 = nn.Linear(dim, dim // 4)
        self.fc2 = nn.Linear(dim // 8, dim)
        heads = torch.arange(dim)[:, None] // (dim // NUM_HEADS) == torch.arange(NUM_HEADS)
        self.register_buffer('heads', heads.float(), persistent=False)  # (C, heads), which head owns a channel

    def forward(self, x: Tensor) -> Tensor:
        tokens = widen(x).flatten(1, 2)  # (B, N, C)
        mean = tokens.mean(1)
        gate = self.fc2(self.fc1(mean.to(x.dtype)).unflatten(1, (2, -1)).amax(1))
        # Sums over a head's channels, and copies to them, are products with the block-diagonal (C, heads).
        with no_autocast(x):
            similarity = tokens @ (mean.unsqueeze(2) * self.heads * (x.shape[-1] // NUM_HEADS)**-.5)  # (B, N, heads)
            std, mu = torch.std_mean(similarity, (1, 2), keepdim=True)
            similarity = (similarity - mu) / (std + 1e-5) * self.rescale_weight + self.rescale_bias
            gate = (gate.unsqueeze(2) * self.heads).transpose(1, 2).to(tokens.dtype)
            out = torch.baddbmm(tokens, similarity, gate)
        return out.view(x.shape).to(x.dtype)


class TokenMixer(nn.Module):
    """Twice in a row: global context, depth-wise 11x11 convolution, bottleneck, GELU.

    Args:
        dim: Channels; the bottleneck has an eighth of them, but at least 16.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        hidden_dim = max(dim // 8, 16)
        for i in '12':
            self.add_module(f'gc{i}', GlobalContext(dim))
            self.add_module(f'dw{i}', DepthwiseConv(dim, KERNEL_SIZE))
            bottleneck = nn.Conv2d(dim, hidden_dim, 1), nn.GELU(), nn.Conv2d(hidden_dim, dim, 1)
            self.add_module(f'fc{i}', nn.Sequential(*bottleneck))

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(conv_map(self.fc1, conv_map(self.dw1, self.gc1(x))))
        return F.gelu(conv_map(self.fc2, conv_map(self.dw2, self.gc2(x))))


class ChannelMixer(nn.Module):
    """1x1 convolution, depth-wise 3x3 convolution, GELU, 1x1 convolution.

    Args:
        dim: Channels of input and output.
        hidden_dim: Channels in between.
    """

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(dim, hidden_dim, 1)
        self.dwconv = nn.Conv2d(hidden_dim, hidden_dim, 3, padding=1, groups=hidden_dim)
        self.act = nn.GELU()
        self.fc2 = nn.Conv2d(hidden_dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        return convolve_between(self.dwconv, x, lambda x: conv_map(self.fc1, x), lambda x: conv_map(self.fc2, self.act(x)))


class FCViTBlock(nn.Module):
    """Token mixer and channel mixer, each behind a norm over the whole map, with a learned scale a channel.

    Args:
        dim: Channels.
        mlp_ratio: Of the channel mixer.
        drop_path: Rate of stochastic depth.
    """

    def __init__(self, dim: int, mlp_ratio: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = GroupNorm1(dim)
        self.token_mixer = TokenMixer(dim)
        self.norm2 = GroupNorm1(dim)
        self.channel_mixer = ChannelMixer(dim, mlp_ratio * dim)
        self.layer_scale_1 = nn.Parameter(torch.full((dim, ), 1e-5))
        self.layer_scale_2 = nn.Parameter(torch.full((dim, ), 1e-5))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.addcmul(x, self.drop_path(self.token_mixer(self.norm1(x))), self.layer_scale_1)
        return torch.addcmul(x, self.drop_path(self.channel_mixer(self.norm2(x))), self.layer_scale_2)


@MODELS.register_module()
class FCViT(Backbone):
    """FCViT; arguments and contract in `Backbone`.

    Group norms and global contexts take in the whole map, so that the padding of an image changes all its features.
    """

    family = 'fcvit'
    # The table of the repository's README; b12 is the paper's S12.
    archs = {
        'tiny': dict(dims=(32, 64, 160, 320),  depths=(3, 3, 5, 2),  mlp_ratios=(8, 8, 4, 4)),
        'b12':  dict(dims=(64, 128, 320, 512), depths=(2, 2, 6, 2),  mlp_ratios=(8, 8, 4, 4)),
        'b24':  dict(dims=(64, 128, 320, 512), depths=(4, 4, 12, 4), mlp_ratios=(8, 8, 4, 4)),
        'b48':  dict(dims=(64, 128, 320, 512), depths=(8, 8, 24, 8), mlp_ratios=(8, 8, 4, 4)),
    }  # yapf: disable

    def build_patch_embed(self) -> nn.Module:
        return ConvNorm(self.in_channels, self.spec['dims'][0], 7, stride=4)

    def build_stage(self, i: int, drop_path: Sequence[float]) -> nn.Module:
        dims = self.spec['dims']
        downsample = ConvNorm(dims[i - 1], dims[i], 3, stride=2) if i else None
        blocks = [FCViTBlock(dims[i], self.spec['mlp_ratios'][i], rate) for rate in drop_path]
        return Stage(blocks, downsample, self.with_cp)

    def build_norm(self, i: int) -> nn.Module:
        return GroupNorm1(self.spec['dims'][i])

    def init_module(self, module: nn.Module) -> None:
        super().init_module(module)
        if isinstance(module, nn.Conv2d):
            init_conv_fan_out(module)

    rename = (
        (r'^network\.([135])\.', lambda match: f'stages.{int(match[1]) // 2 + 1}.downsample.'),
        (r'^network\.([0246])\.', lambda match: f'stages.{int(match[1]) // 2}.blocks.'),
        (r'^norm([0246])\.', lambda match: f'norm{int(match[1]) // 2}.'),
        (r'^head\.', None),
    )
