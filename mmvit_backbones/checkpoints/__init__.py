"""Weights: found, read safely, renamed, resized, and accounted for to the last key."""
from .load import (KeyReport, check_model, convert, identify, init_weights, load_checkpoint, load_classifier,
                   load_state_dict_hook, name_classifier)
from .read import CheckpointError, check_file, read_checkpoint
from .runner import use_reader
from .zoo import ZOO, Preprocess, locate, preprocessing

__all__ = [
    'check_file', 'check_model', 'CheckpointError', 'convert', 'identify', 'init_weights', 'KeyReport',
    'load_checkpoint', 'load_classifier', 'load_state_dict_hook', 'locate', 'name_classifier', 'Preprocess',
    'preprocessing', 'read_checkpoint', 'use_reader', 'ZOO'
]
