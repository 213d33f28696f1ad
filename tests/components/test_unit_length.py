"""Features of unit length."""

import torch
import torch.nn.functional as F

from anomedge.components.unit_length import unit_length


def test_it_is_the_function_of_torch_and_keeps_zeros():
    features = torch.randn(2, 5, 3, 4)
    features[1, :, 0, 0] = 0
    expected = F.normalize(features, dim=1)
    assert torch.equal(unit_length(features), expected)
    assert (unit_length(features)[1, :, 0, 0] == 0).all()


def test_a_graph_needs_no_shape_of_the_batch():
    batch = torch.export.Dim("batch", min=1)

    class Unit(torch.nn.Module):
        def forward(self, x):
            return unit_length(x)

    program = torch.export.export(
        Unit(), (torch.randn(2, 3, 4, 4),), dynamic_shapes=({0: batch},)
    )
    names = {str(node.target) for node in program.graph.nodes}
    assert not any("sym_size" in name or "expand" in name for name in names)
