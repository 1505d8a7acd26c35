"""mmpretrain's image classifier with a backbone of this package: the model that the authors evaluate on ImageNet.

A config names it ``mmvit_backbones.classifiers.ImageClassifier``, and so on; mmpretrain must be installed.
"""
from typing import Tuple

import mmpretrain.models
from mmengine.registry import DefaultScope
from torch import Tensor, nn

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


class TokenLabelingHead(mmpretrain.models.LinearClsHead):
    """LV-ViT's: a linear layer on the class token, and another one on each patch, half of whose largest score joins it.

    Its authors train the two apart, the second with a label for each patch, from maps that another network has made.
    There are no such maps here: the loss is that of the sum, which is what is evaluated, so that of the patches only
    the largest score of each class learns.

    Args:
        num_classes, in_channels: As for ``LinearClsHead``, as is all else.
    """

    def __init__(self, num_classes: int, in_channels: int, **kwargs) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        self.aux_head = nn.Linear(in_channels, num_classes)

    def forward(self, feats: Tuple[Tuple[Tensor, Tensor]]) -> Tensor:
        """((class token (B, C), patches (B, N, C)), ) -> scores (B, num_classes)"""
        token, patches = self.pre_logits(feats)
        return self.fc(token) + .5 * self.aux_head(patches).amax(1)
