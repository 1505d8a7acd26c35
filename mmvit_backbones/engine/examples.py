"""Images and annotations of random values, for what only needs their shapes."""
from typing import Tuple

import torch
from mmengine.config import Config
from mmengine.structures import PixelData

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
        kinds = {key for _, node in nodes(cfg, ['train_dataloader']) for key in ('with_mask', 'with_seg') if node.get(key)}
        data = demo_mm_inputs(
            number, [(3, *size)] * number, num_classes=classes, with_mask='with_mask' in kinds, with_semantic='with_seg' in kinds)
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
