"""A permutation as a selection: the values of the product with its matrix, and a Gather in the graph."""

import pytest
import torch

from anomedge.components.flows.all_in_one import AllInOneBlock
from anomedge.components.flows.selecting import SelectingBlock
from tests.components.flows.cases import convolutions, dense, shaken


def pair(shape, subnet):
    """The same block with indices and with a matrix."""
    torch.manual_seed(0)
    ours = shaken(SelectingBlock([shape], subnet_constructor=subnet))
    torch.manual_seed(0)
    full = AllInOneBlock([shape], subnet_constructor=subnet)
    state = ours.state_dict()
    w = torch.eye(shape[0])[state.pop("order")]
    ones = (1,) * (len(shape) - 1)
    state["w_perm"] = w.reshape(*w.shape, *ones)
    state["w_perm_inv"] = w.T.reshape(*w.shape, *ones)
    full.load_state_dict(state, strict=True)
    return ours, full


@pytest.mark.parametrize(
    ("shape", "subnet"), [((5,), dense), ((5, 2, 3), convolutions)]
)
@pytest.mark.parametrize("rev", [False, True])
def test_values_are_those_of_the_matrix(shape, subnet, rev, float64):
    ours, full = pair(shape, subnet)
    x = torch.randn(4, *shape)
    found, expected = ours([x], rev=rev), full([x], rev=rev)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_one_seed_draws_the_block_with_the_matrix():
    blocks = []
    for kind in (SelectingBlock, AllInOneBlock):
        torch.manual_seed(3)
        blocks.append(kind([(32,)], subnet_constructor=dense))
    assert torch.equal(torch.eye(32)[blocks[0].order], blocks[1].w_perm)
    assert torch.equal(blocks[0].subnet[0].weight, blocks[1].subnet[0].weight)


def test_z_alone_needs_no_product_of_channels_and_no_jacobian():
    class Forward(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.block = pair((6, 3, 3), convolutions)[0].eval()

        def forward(self, x):
            (z,), _ = self.block([x])
            return z

    batch = torch.export.Dim("batch", max=8)
    program = torch.export.export(
        Forward(), (torch.randn(2, 6, 3, 3),), dynamic_shapes=({0: batch},)
    )
    program.graph.eliminate_dead_code()
    called = [str(node.target) for node in program.graph.nodes]
    assert sum("conv2d" in target for target in called) == 2
    assert sum("index_select" in target for target in called) == 1
    assert not any("sum" in each or "log" in each for each in called)
