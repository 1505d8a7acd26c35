"""Weights: found, read safely, renamed, resized, and accounted for to the last key."""
from .load import KeyReport, convert, identify, load_checkpoint, load_state_dict_hook
from .read import CheckpointError, read_checkpoint
from .zoo import ZOO, locate

__all__ = [
    'CheckpointError', 'convert', 'identify', 'KeyReport', 'load_checkpoint', 'load_state_dict_hook', 'locate',
    'read_checkpoint', 'ZOO'
]
