"""What Shuffle Transformer has of its own."""
import pytest
import torch
from conftest import build

from mmvit_backbones.backbones import ShuffleTransformer

SMALL = dict(dims=(32, 64, 128, 256), depths=(2, 2, 2, 2), num_heads=(1, 2, 4, 8), stem_dim=32, mlp_ratio=4)


def test_stochastic_depth_has_one_rate_a_stage():
    with torch.device('meta'):
        model = build('shuffle_transformer/tiny', drop_path_rate=.3)
    for i, stage in enumerate(model.stages):
        assert [block.drop_path.rate for block in stage.blocks] == pytest.approx([.1 * i] * len(stage.blocks))


@pytest.mark.parametrize('size', ((32, 32), (33, 47), (101, 75)))
def test_grouping_keeps_the_images_of_a_batch_apart(size):
    torch.manual_seed(0)
    model = ShuffleTransformer(SMALL).double().eval()
    images = torch.randn(2, 3, *size, dtype=torch.double)
    with torch.no_grad():
        for both, alone in zip(model(images), model(images[1:])):
            torch.testing.assert_close(both[1:], alone)
