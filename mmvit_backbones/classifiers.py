"""mmpretrain's image classifier with a backbone of this package: the model that the authors evaluate on ImageNet.

A config names it ``mmvit_backbones.classifiers.ImageClassifier``; mmpretrain must be installed.
"""
import mmpretrain.models

from .checkpoints import init_weights, load_classifier


class ImageClassifier(mmpretrain.models.ImageClassifier):
    """mmpretrain's, but for ``init_cfg``: weights of type Pretrained are loaded whole, head included, or not at all.

    They may be the authors' file, a classifier's of mmpretrain's, or ``mmvit://<family>/<variant>``. A backbone alone is
    loaded by its own ``init_cfg``.

    Raises:
        CheckpointError: A key of the file or of the model is not accounted for.
    """

    def init_weights(self) -> None:
        init_weights(self, super().init_weights, load_classifier)
