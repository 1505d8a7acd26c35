"""What training and measuring need of a backbone."""
from .flops import count_macs
from .layer_decay import LayerDecayOptimWrapperConstructor

__all__ = ['count_macs', 'LayerDecayOptimWrapperConstructor']
