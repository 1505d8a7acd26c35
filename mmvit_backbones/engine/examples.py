"""Images and annotations of random values, for what only needs their shapes."""
import copy
import importlib
import logging
from typing import Tuple

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import PixelData
from torch import Tensor, nn

from .config import UsageError, remove_pretrained
from .data import nodes


def random_batch(cfg: Config, number: int, size: Tuple[int, int]) -> dict:
    """A batch as a data loader hands it to the data preprocessor of a config's model: ``inputs`` and ``data_samples``.

    Args:
        cfg: Of mmdet, mmseg or mmpretrain.
        number: Of images.
        size: Height and width of them in pixels.
    """
    heads = [head for _, head in nodes(cfg.model)]
    classes = min(head[key] for head in heads for key in ('num_things_classes', 'num_classes') if key in head)
    if cfg.default_scope == 'mmdet':
        from mmdet.testing import demo_mm_inputs
        loaded = {key for _, node in nodes(cfg, ['train_dataloader']) for key in node if node[key] is True}
        data = demo_mm_inputs(
            number, [(3, *size)] * number, num_classes=classes, with_mask='with_mask' in loaded,
            with_semantic='with_seg' in loaded)
        for sample in data['data_samples']:
            sample.set_metainfo(dict(scale_factor=(1., 1.)))
        return data
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for _ in range(number)]
    if cfg.default_scope == 'mmseg':
        from mmseg.structures import SegDataSample
        meta = dict(ori_shape=size, img_shape=size, pad_shape=size, padding_size=[0, 0, 0, 0])
        labels = [PixelData(data=torch.randint(0, classes, (1, *size))) for _ in images]
        samples = [SegDataSample(gt_sem_seg=label, metainfo=meta) for label in labels]
    else:
        from mmpretrain.structures import DataSample
        samples = [DataSample().set_gt_label(int(torch.randint(0, classes, ()))) for _ in images]
    return dict(inputs=images, data_samples=samples)


class WholeModel(nn.Module):
    """The model of a config, with random weights, which takes images alone: ``images`` holds some of random values.

    In training mode it gives its losses for random annotations, else its predictions.

    Args:
        cfg: Of mmdet, mmseg or mmpretrain.
        number: Of images.
        size: Height and width of them in pixels.

    Raises:
        UsageError: The model pads images of this size.
    """

    def __init__(self, cfg: Config, number: int, size: Tuple[int, int]) -> None:
        super().__init__()
        settings = copy.deepcopy(cfg.model)
        remove_pretrained(settings)
        importlib.import_module(f'{cfg.default_scope}.models')
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            self.model = MODELS.build(settings)
            logger = MMLogger.get_current_instance()
            level, logger.level = logger.level, logging.WARNING  # it would tell of each parameter
            self.model.init_weights()
            logger.level = level
        data = self.model.data_preprocessor(random_batch(cfg, number, size))
        if tuple(data['inputs'].shape[2:]) != tuple(size):
            raise UsageError(f'{cfg.filename}: the model pads images of {size[0]}x{size[1]} to '
                             f'{"x".join(map(str, data["inputs"].shape[2:]))}. Choose that size')
        self.register_buffer('images', data['inputs'], persistent=False)
        self.samples = data['data_samples']

    def forward(self, images: Tensor) -> tuple:
        """(B, 3, H, W) -> tensors, or predictions"""
        samples = [sample.clone().to(images.device) for sample in self.samples]  # models write into them
        if not self.training:
            return tuple(self.model(images, samples, mode='predict'))
        losses = self.model(images, samples, mode='loss')
        return tuple(
            item for value in losses.values() for item in (value if isinstance(value, (list, tuple)) else [value]))
