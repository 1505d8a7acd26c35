"""The block of most vision transformers."""
from torch import Tensor, nn

from .drop import DropPath


class PreNormBlock(nn.Module):
    """x + attn(norm1(x)), then x + mlp(norm2(x)), with stochastic depth on either branch.

    Args:
        dim: Channels.
        attn: Token mixer, from map to map.
        mlp: Feed-forward part, from map to map.
        drop_path: Rate of stochastic depth.
        eps: Of the two LayerNorms.
    """

    def __init__(self, dim: int, attn: nn.Module, mlp: nn.Module, drop_path: float = 0., eps: float = 1e-5) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = attn
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp = mlp
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, *context) -> Tensor:
        """A map to a map; ``context`` is what the attention needs besides, such as how tokens are grouped."""
        x = x + self.drop_path(self.attn(self.norm1(x), *context))
        return x + self.drop_path(self.mlp(self.norm2(x)))
