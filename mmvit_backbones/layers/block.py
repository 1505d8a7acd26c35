"""The block of most vision transformers."""
import torch
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
        alpha: Factor on both branches.
    """

    def __init__(self,
                 dim: int,
                 attn: nn.Module,
                 mlp: nn.Module,
                 drop_path: float = 0.,
                 eps: float = 1e-5,
                 alpha: float = 1.) -> None:
        super().__init__()
        self.alpha = alpha
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = attn
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp = mlp
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, *context) -> Tensor:
        """A map to a map; ``context`` is what the attention needs besides, such as how tokens are grouped."""
        x = torch.add(x, self.drop_path(self.attn(self.norm1(x), *context)), alpha=self.alpha)
        return torch.add(x, self.drop_path(self.mlp(self.norm2(x))), alpha=self.alpha)


class LayerScaleBlock(PreNormBlock):
    """The same with a learned factor a channel on either branch (CaiT, arXiv 2103.17239, section 2.1).

    Args:
        scale: What the factors start from.
    """

    def __init__(self,
                 dim: int,
                 attn: nn.Module,
                 mlp: nn.Module,
                 drop_path: float = 0.,
                 eps: float = 1e-5,
                 scale: float = 1e-4) -> None:
        super().__init__(dim, attn, mlp, drop_path, eps)
        self.gamma_1 = nn.Parameter(torch.full((dim, ), scale))
        self.gamma_2 = nn.Parameter(torch.full((dim, ), scale))

    def forward(self, x: Tensor, *context) -> Tensor:
        x = torch.addcmul(x, self.gamma_1, self.drop_path(self.attn(self.norm1(x), *context)))
        return torch.addcmul(x, self.gamma_2, self.drop_path(self.mlp(self.norm2(x))))
