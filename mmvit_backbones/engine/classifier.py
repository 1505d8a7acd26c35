"""The authors' classifiers as models of mmpretrain's."""
from typing import Optional

import torch

from .. import list_backbones
from ..registry import MODELS
from .errors import near
from .imagenet import DROP_PATH


def classifier(name: str, num_classes: int = 1000, init_cfg: Optional[dict] = None, **options) -> dict:
    """The ``model`` of a config: the image classifier that the authors of a backbone evaluate.

    Its logits are ``model(images, mode='tensor')``. It needs mmpretrain.

    Args:
        name: Of `list_backbones`, such as 'swin/tiny'.
        num_classes: Of the head.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` loads the authors' file, head included; it may also be put
            into the result, as ``init_cfg``. Without it all weights are random.
        options: Arguments of the backbone, such as ``drop_path_rate``, which else is the authors' (`DROP_PATH`).

    Raises:
        ValueError: There is no backbone of this name.
    """
    known = list_backbones()
    if name not in known:
        raise ValueError(f'There is no backbone {name!r}.{near(name, known)}')
    backbone = dict(known[name], out_type='pooled', drop_path_rate=DROP_PATH.get(name, 0.))
    backbone.update(options)
    with torch.device('meta'):
        built = MODELS.build(backbone)
    model = dict(
        type='mmvit_backbones.classifiers.ImageClassifier',
        backbone=backbone,
        head=dict(
            type=built.head_type,
            num_classes=num_classes,
            in_channels=built.out_channels[-1],
            init_cfg=dict(type='TruncNormal', layer='Linear', std=.02, bias=0.),
            loss=dict(type='mmpretrain.CrossEntropyLoss')))
    return model if init_cfg is None else dict(model, init_cfg=init_cfg)
