"""How SG-Former sorts tokens."""
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from mmvit_backbones.backbones.sg_former import GuidedAttention, sorted_order


def test_equal_tokens_stay_in_their_order():
    x = torch.randint(0, 9, (2, 3000), generator=torch.Generator().manual_seed(0)).float()
    assert not torch.equal(x.sort().indices, x.sort(stable=True).indices)
    for values in (x, x.double(), torch.zeros(1, 700), torch.rand(3, 1)):
        assert torch.equal(sorted_order(values), values.sort(stable=True).indices)


def test_operators_that_onnx_has():
    attn = GuidedAttention(16, 2, (49, 14, 7)).eval()
    graph = make_fx(lambda *args: attn.merge(*args))(torch.randn(1, 14, 28, 16), torch.rand(1, 14, 28)).graph
    used = {str(node.target) for node in graph.nodes}
    assert 'aten.sort.default' in used and 'aten.sort.stable' not in used
