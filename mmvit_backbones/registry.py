"""The package's registries, children of mmengine's.

A type written with the scope, ``mmvit_backbones.CSWinTransformer``, is found from mmdet, mmseg, mmpretrain and plain
mmengine configs without ``custom_imports``: mmengine imports this module for the scope and then the ``locations``.
"""
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import Registry

MODELS = Registry(
    'model', parent=MMENGINE_MODELS, scope='mmvit_backbones', locations=['mmvit_backbones.backbones', 'mmvit_backbones.necks'])
HOOKS = Registry('hook', parent=MMENGINE_HOOKS, scope='mmvit_backbones', locations=['mmvit_backbones.engine'])
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optimizer wrapper constructor',
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    scope='mmvit_backbones',
    locations=['mmvit_backbones.engine'])
