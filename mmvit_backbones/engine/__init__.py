"""What training and measuring need of a backbone."""
from .classifier import classifier
from .flops import Cost, Macs, count_config, count_macs
from .hooks import CheckModelHook
from .layer_decay import LayerDecayOptimWrapperConstructor
from .recipe import set_backbone
from .saving import CheckpointHook

__all__ = [
    'CheckModelHook', 'CheckpointHook', 'classifier', 'Cost', 'count_config', 'count_macs',
    'LayerDecayOptimWrapperConstructor', 'Macs', 'set_backbone'
]
