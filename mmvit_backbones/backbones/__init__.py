"""The backbone families, one file a paper."""
from .base import Backbone
from .cswin import CSWinTransformer

__all__ = ['Backbone', 'CSWinTransformer']
