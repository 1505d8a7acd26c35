"""State dicts of mmdet's, mmsegmentation's and mmpretrain's own backbones, with the values that authors' code has."""
import re
from typing import Dict, Optional, Tuple

from torch import Tensor


def unpack(state: Dict[str, Tensor], in_proj: Tuple[str, str]) -> Dict[str, Tensor]:
    """Undoes what OpenMMLab's building blocks do to values; names stay, but for those of what is split.

    ``in_proj`` of attention becomes two; 1 x 1 convolutions become linear layers; and the channels of a patch merging,
    which unfolds the map, are sorted by neighbour, column first, as Swin's authors have them.

    Args:
        state: By their names.
        in_proj: Names of the two, a letter for each of queries, keys and values: 'q' and 'kv'.
    """
    found = {}
    for key, value in state.items():
        if not isinstance(value, Tensor) or not value.dim():
            found[key] = value
        elif key.endswith(('.in_proj_weight', '.in_proj_bias')):
            owner, _, leaf = key.rpartition('in_proj_')
            parts = value.tensor_split([len(value) // 3 * len(in_proj[0])])
            found.update((f'{owner}{name}.{leaf}', part) for name, part in zip(in_proj, parts))
        elif '.ffn.layers.' in key and value.shape[2:] == (1, 1):
            found[key] = value.flatten(1)
        elif value.dim() and value.shape[-1] % 4 == 0 and value.shape[-1] == _merged(state, key):
            # (..., C, row, column) -> (..., column, row, C)
            found[key] = value.unflatten(-1, (-1, 2, 2)).transpose(-1, -3).flatten(-3)
        else:
            found[key] = value
    return found


def _merged(state: Dict[str, Tensor], key: str) -> Optional[int]:
    """Channels of four neighbours side by side in the patch merging that a key belongs to, if it belongs to one."""
    owner = re.match(r'.*\.downsample\.(?=(norm|reduction)\.)', key)
    reduction = state.get(f'{owner[0]}reduction.weight') if owner else None
    return reduction.shape[-1] if isinstance(reduction, Tensor) and reduction.dim() else None
