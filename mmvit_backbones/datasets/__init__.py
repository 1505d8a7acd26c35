"""Data sets that need no download."""
from .shapes import make_shapes

__all__ = ['make_shapes']
