"""mmpretrain's image classifier with a backbone of this package: the model that the authors evaluate on ImageNet.

A config names it ``mmvit_backbones.classifiers.ImageClassifier``; mmpretrain must be installed.
"""
import mmpretrain.models
from mmengine.registry import DefaultScope

from .checkpoints import init_weights, load_classifier


class ImageClassifier(mmpretrain.models.ImageClassifier):
    """mmpretrain's, but for ``init_cfg``: weights of type Pretrained are loaded whole, head included, or not at all.

    They may be the authors' file, a classifier's of mmpretrain's, or ``mmvit://<family>/<variant>``. A backbone alone is
    loaded by its own ``init_cfg``. Its parts are looked up in mmpretrain's registries, whatever the default scope.

    Raises:
        CheckpointError: A key of the file or of the model is not accounted for.
    """

    def __init__(self, *args, **kwargs) -> None:
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            super().__init__(*args, **kwargs)

    def init_weights(self) -> None:
        init_weights(self, super().init_weights, load_classifier)
