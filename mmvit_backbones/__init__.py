"""Vision-transformer backbones for OpenMMLab detectors and segmentors."""
from typing import Dict

__version__ = '0.1.0'


def list_backbones() -> Dict[str, dict]:
    """Every published variant: ``{'<family>/<variant>': dict(type='mmvit_backbones.<Class>', arch='<variant>')}``.

    Each value builds as it is: ``MODELS.build(list_backbones()['cswin/tiny'])`` with mmengine's ``MODELS``.
    """
    from .backbones import Backbone
    from .registry import MODELS
    return {
        f'{cls.family}/{arch}': dict(type=f'mmvit_backbones.{cls.__name__}', arch=arch)
        for cls in MODELS.module_dict.values() if issubclass(cls, Backbone) for arch in cls.archs
    }
