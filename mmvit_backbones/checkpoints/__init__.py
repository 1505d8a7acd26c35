"""Weights: found, read safely, renamed, resized, and accounted for to the last key."""
from .load import KeyReport, check_model, convert, identify, load_checkpoint, load_state_dict_hook
from .read import CheckpointError, check_file, read_checkpoint
from .runner import use_reader
from .zoo import ZOO, locate

__all__ = [
    'check_file', 'check_model', 'CheckpointError', 'convert', 'identify', 'KeyReport', 'load_checkpoint',
    'load_state_dict_hook', 'locate', 'read_checkpoint', 'use_reader', 'ZOO'
]
