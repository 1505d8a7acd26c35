"""What training and measuring need of a backbone."""
from .flops import Cost, Macs, count_config, count_macs
from .hooks import CheckModelHook
from .layer_decay import LayerDecayOptimWrapperConstructor
from .recipe import set_backbone
from .saving import CheckpointHook

__all__ = [
    'CheckModelHook', 'CheckpointHook', 'Cost', 'Macs', 'count_config', 'count_macs', 'LayerDecayOptimWrapperConstructor',
    'set_backbone'
]
