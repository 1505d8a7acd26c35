"""Columnar vision transformers: one resolution from the first block to the last, and a class token beside the map."""
from typing import Optional, Sequence

import torch
from torch import Tensor, nn

from ..layers import attention, conv_map, resize_position
from .base import Stage


class SelfAttention(nn.Module):
    """Attention of all tokens to all, (B, N, C) -> (B, N, C).

    Args:
        dim: Channels.
        num_heads: Heads.
        qkv_bias: Whether queries, keys and values have a bias.
    """

    def __init__(self, dim: int, num_heads: int, qkv_bias: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        # (B, N, 3, heads, d) -> (3, B, heads, N, d)
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(attention(q, k, v))


class Column(Stage):
    """The blocks of a column, from map to map: the tokens and a class token, positions added, and a norm at the end.

    The class token takes part in the attention and is then left out, or all that is returned.

    Args:
        blocks: Modules from tokens (B, 1 + N, C) to tokens.
        pos_embed: Fixed positions, (1, 1 + h * w, C), those of the class token first. Other grids than (h, w) get them
            resized (bicubic), each time they run.
        grid: The (h, w) of ``pos_embed``.
        downsample, with_cp: As for `Stage`.
        pooled: Return the class token, (B, C), in place of the map.
    """

    def __init__(self,
                 blocks: Sequence[nn.Module],
                 pos_embed: Tensor,
                 grid: Sequence[int],
                 downsample: Optional[nn.Module] = None,
                 with_cp: bool = False,
                 pooled: bool = False) -> None:
        super().__init__(blocks, downsample, with_cp)
        self.grid = tuple(grid)
        self.pooled = pooled
        self.cls_token = nn.Parameter(torch.zeros(1, 1, pos_embed.shape[-1]))
        nn.init.trunc_normal_(self.cls_token, std=.02)
        self.register_buffer('pos_embed', pos_embed)
        self.norm = nn.LayerNorm(pos_embed.shape[-1])

    def forward(self, x: Tensor) -> Tensor:
        x = self.downsample(x)
        B, H, W, _ = x.shape
        cls_pos, pos = self.pos_embed[:, :1], self.pos_embed[:, 1:].unflatten(1, self.grid)
        x = x + resize_position(pos, (H, W), 'bicubic')
        x = torch.cat([(self.cls_token + cls_pos).expand(B, -1, -1), x.flatten(1, 2)], dim=1)
        for block in self.blocks:
            x = self.run(block, x)
        return self.norm(x[:, 0] if self.pooled else x[:, 1:].unflatten(1, (H, W)))

    def resize(self, name: str, value: Tensor) -> Optional[Tensor]:
        """Positions of a checkpoint, of a square grid of another size, interpolated to this one's (bicubic).

        None for what is no such positions.
        """
        side = round(max(value.shape[1] - 1, 0)**.5)
        if name != 'pos_embed' or side == 0 or value.shape != (1, 1 + side**2, self.pos_embed.shape[-1]):
            return None
        pos = resize_position(value[:, 1:].float().unflatten(1, (side, side)), self.grid, 'bicubic')
        return torch.cat([value[:, :1], pos.flatten(1, 2).to(value.dtype)], dim=1)


class MaxPool(nn.Module):
    """Halves a map: the largest of each 2 x 2 values, (B, H, W, C) -> (B, ceil(H / 2), ceil(W / 2), C)."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        return conv_map(self.pool, x)
