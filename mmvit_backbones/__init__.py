"""Vision-transformer backbones for OpenMMLab detectors and segmentors.

The classes of ``mmvit_backbones.backbones`` can be imported from here too.
"""
from fnmatch import fnmatchcase
from importlib import import_module
from typing import TYPE_CHECKING, Dict

if TYPE_CHECKING:
    from .backbones import *  # noqa: F401, F403

__version__ = '0.1.0'


def __getattr__(name: str) -> type:
    if name[:1].isupper():  # a class: only now is PyTorch imported
        backbones = import_module('.backbones', __name__)
        if name in backbones.__all__:
            return getattr(backbones, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def list_backbones(pattern: str = '*', pretrained: bool = False) -> Dict[str, dict]:
    """The published variants: ``{'<family>/<variant>': dict(type='mmvit_backbones.<Class>', arch='<variant>')}``.

    Each value builds as it is: ``MODELS.build(list_backbones()['cswin/tiny'])`` with mmengine's ``MODELS``.

    Args:
        pattern: Which names, with the wildcards of a shell, such as 'cswin*' or '*/tiny'.
        pretrained: Only those whose authors have published weights, which ``mmvit://<family>/<variant>`` stands for.
    """
    from .backbones import Backbone
    from .checkpoints import ZOO
    from .registry import MODELS
    known = {
        f'{cls.family}/{arch}': dict(type=f'mmvit_backbones.{cls.__name__}', arch=arch)
        for cls in MODELS.module_dict.values() if issubclass(cls, Backbone) for arch in cls.archs
    }
    return {name: cfg for name, cfg in known.items() if fnmatchcase(name, pattern) and (name in ZOO or not pretrained)}
