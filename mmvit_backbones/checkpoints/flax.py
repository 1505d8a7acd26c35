"""Parameters of Flax, as the authors of ViT have published them, with the names and values that ports to PyTorch have."""
import re
from typing import Dict

import torch
from torch import Tensor

ROOTS = 'opt/target/', 'params/'
"""Under which files keep the parameters that hold an optimizer's state, or other things, besides them."""
NAMES = (
    (r'^Transformer/posembed_input/pos_embedding$', 'pos_embed'),
    (r'^Transformer/encoderblock_(\d+)/', r'blocks.\1/'),
    (r'^Transformer/encoder_norm/', 'norm/'),
    (r'^embedding/', 'patch_embed/proj/'),
    (r'^cls$', 'cls_token'),
    (r'/LayerNorm_0/', '/norm1/'),
    (r'/LayerNorm_2/', '/norm2/'),
    (r'/MlpBlock_3/Dense_0/', '/mlp/fc1/'),
    (r'/MlpBlock_3/Dense_1/', '/mlp/fc2/'),
    (r'/MultiHeadDotProductAttention_1/out/', '/attn/proj/'),
    (r'/MultiHeadDotProductAttention_1/', '/attn/'),
    (r'/(kernel|scale)$', '/weight'),
)
"""(regular expression, replacement), applied one after the other."""
PARTS = 'query', 'key', 'value'


def unpack(state: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """Names as in timm's layout, kernels with the channels of the output first, queries, keys and values as one.

    What stands beside the parameters keeps its name, with the slashes in it.
    """
    root = next((root for root in ROOTS if any(key.startswith(root) for key in state)), '')
    found = {}
    for key, value in state.items():
        if not key.startswith(root):
            found[key] = value
            continue
        name = key[len(root):]
        for pattern, replacement in NAMES:
            name = re.sub(pattern, replacement, name)
        found[name.replace('/', '.')] = _turn(name, value)
    for name in [name for name in found if re.search(r'\.attn\.query\.(weight|bias)$', name)]:
        names = [name.replace('query', part) for part in PARTS]
        values = [found.get(name) for name in names]
        if all(value is not None and value.dim() and value.shape[1:] == values[0].shape[1:] for value in values):
            found[name.replace('query', 'qkv')] = torch.cat(values)
            for name in names:
                del found[name]
    return found


def _turn(name: str, value: Tensor) -> Tensor:
    """A parameter of Flax as PyTorch has it; what has not the shape of one stays as it is."""
    if re.search(r'/attn/(query|key|value)/', name):  # (C, heads, d) or (heads, d) -> heads side by side
        value = value.flatten(-2) if value.dim() > 1 else value
    elif name.endswith('/attn/proj/weight') and value.dim() == 3:  # (heads, d, C)
        value = value.flatten(0, 1)
    if not name.endswith('/weight'):
        return value
    return value.permute(3, 2, 0, 1) if value.dim() == 4 else value.t() if value.dim() == 2 else value
