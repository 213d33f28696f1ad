import numpy as np
import onnx
import pytest
import torch
from torch import nn

from anomedge.errors import ExportError
from anomedge.export.passes.select_channels_early import SelectChannelsEarly
from tests.export.passes.graphs import TARGET, random, run


class Block(nn.Module):
    """A residual block whose last values are read by a selection alone, or by something else as well."""

    def __init__(self, last, shared=False):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.last = last
        self.shared = shared
        self.register_buffer("drawn", torch.tensor([6, 1, 3]))

    def forward(self, x):
        x = torch.relu(self.first(x))
        y = self.last(x)
        selected = y.index_select(1, self.drawn)
        return (selected, y.mean(dim=(2, 3))) if self.shared else (selected,)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = (
            nn.Conv2d(8, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
        )
        self.norm.running_mean.uniform_(-1, 1)
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, x):
        return torch.relu(self.norm(self.conv(x)) + x)


class Gated(nn.Module):
    """Squeeze and excitation: a product with values of one pixel."""

    def __init__(self):
        super().__init__()
        self.squeeze, self.last = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)

    def forward(self, x):
        return self.last(x) * torch.sigmoid(
            self.squeeze(x.mean(dim=(2, 3), keepdim=True))
        )


class Spatial(nn.Module):
    """A product with values of one channel, which has nothing to select from."""

    def __init__(self):
        super().__init__()
        self.gate, self.last = nn.Conv2d(8, 1, 1), nn.Conv2d(8, 8, 1)

    def forward(self, x):
        return self.last(x) * torch.sigmoid(self.gate(x))


def exported(module):
    program = torch.export.export(
        module.eval(), (torch.zeros(2, 3, 12, 10),), strict=False
    )
    return torch.onnx.export(
        program, (), dynamo=True, opset_version=18, verbose=False
    ).model_proto


CASES = {
    "convolution": (lambda: nn.Conv2d(8, 8, 3), 3),
    "without bias": (lambda: nn.Conv2d(8, 8, 3, bias=False), 3),
    "depthwise": (
        lambda: nn.Sequential(
            nn.Conv2d(8, 8, 1),
            nn.SiLU(),
            nn.Conv2d(8, 8, 3, groups=8),
            nn.Hardswish(),
        ),
        3,
    ),
    "residual": (Residual, 3),
    "gated": (Gated, 3),
    "grouped": (lambda: nn.Conv2d(8, 8, 3, groups=2), 8),
    "spatial": (Spatial, 8),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_channels_that_are_not_selected_are_not_computed(case):
    make, computed = CASES[case]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        proto = exported(Block(make()))
    before = run(proto, x := random(2, 3, 12, 10))
    assert SelectChannelsEarly(TARGET).apply(proto) == (computed < 8)
    onnx.checker.check_model(proto, full_check=True)
    np.testing.assert_allclose(
        run(proto, x)[0], before[0], rtol=1e-5, atol=1e-6
    )
    weights = {tensor.name: tensor.dims for tensor in proto.graph.initializer}
    convolutions = [node for node in proto.graph.node if node.op_type == "Conv"]
    assert (
        min(
            weights[node.input[1]][0]
            for node in convolutions[1:]
            if weights[node.input[1]][0] > 1
        )
        == computed
    )


def test_values_with_other_readers_stay_whole():
    proto = exported(Block(nn.Conv2d(8, 8, 3), shared=True))
    before = proto.SerializeToString()
    assert not SelectChannelsEarly(TARGET).apply(proto)
    assert proto.SerializeToString() == before


def test_a_graph_without_inner_shapes_is_refused():
    proto = exported(Block(nn.Conv2d(8, 8, 3)))
    del proto.graph.value_info[:]
    with pytest.raises(ExportError, match="before passes that remove them"):
        SelectChannelsEarly(TARGET).apply(proto)
