"""Quantised networks: levels and scales by their formula in float64, one grid per value, and graphs that export."""

from collections import Counter

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from anomedge.errors import ModelError
from anomedge.pipelines.quantised.network import (
    QuantisedNetwork,
    products_of,
    quantised_weights,
)
from tests.pipelines.quantised.networks import Branches, graph_of

SCALES = {"left.weight": 0.01, "right.weight": 0.01, "head.weight": 0.02}
IMAGES = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def graph():
    return graph_of(Branches())


@pytest.fixture(scope="module")
def quantised(graph):
    return QuantisedNetwork(graph, SCALES)


def rounded(values, scale):
    """Values on the grid, in float64."""
    levels = np.clip(np.round(values.double().numpy() / scale), -128, 127)
    return torch.from_numpy(levels * scale)


def rounded_weights(weights):
    """Weights on the grid of each output channel, in float64."""
    exact = weights.detach().double()
    columns = exact.abs().flatten(1).amax(dim=1) / 127
    shape = (-1, *[1] * (exact.ndim - 1))
    return (exact / columns.reshape(shape)).round() * columns.reshape(shape)


def test_outputs_are_those_of_the_formula(graph, quantised):
    network = Branches()
    network.requires_grad_(False)
    x = rounded(IMAGES, 0.01)
    left = nn.functional.conv2d(
        x,
        rounded_weights(network.left.weight),
        network.left.bias.double(),
        padding=1,
    )
    right = nn.functional.conv2d(x, rounded_weights(network.right.weight))
    both = rounded((left.relu() + right).float(), 0.02).movedim(1, -1)
    head = nn.functional.linear(
        both, rounded_weights(network.head.weight), network.head.bias.double()
    )
    with torch.no_grad():
        found = quantised(IMAGES)
    # A sum next to the middle between two levels of the head's input gets the other one in float32.
    step = float(network.head.weight.abs().max()) * 0.02
    errors = (found - head.movedim(-1, 1)).abs()
    assert errors.max() < 1.1 * step
    assert errors.median() < 1e-6


def test_levels_are_symmetric_and_a_channel_of_zeros_keeps_its_zeros():
    weights = torch.randn(4, 3, 3, 3)
    weights[2] = 0
    levels, scales = quantised_weights(weights)
    assert levels.dtype == torch.int8
    assert levels.flatten(1).abs().amax(dim=1).tolist() == [127, 127, 0, 127]
    assert (scales > 0).all()
    negated, same = quantised_weights(-weights)
    assert torch.equal(negated, -levels) and torch.equal(same, scales)
    column = scales.reshape(-1, 1, 1, 1)
    error = (levels * column - weights).abs()
    assert (error <= column / 2 * (1 + 1e-5)).all()


def test_grids_have_zero_point_zero_and_int8_levels(quantised):
    nodes = [n for n in quantised.graph.graph.nodes if "quantize" in str(n.target)]  # fmt: skip
    for node in nodes:
        assert node.args[-3:] == (-128, 127, torch.int8)
    zeros = [x for n, x in quantised.graph.named_buffers() if n.endswith("_zeros")]  # fmt: skip
    assert len(zeros) == 3
    assert not any(x.any() for x in zeros)


def test_products_of_one_value_share_its_rounding(quantised):
    kinds = Counter(str(n.target) for n in quantised.graph.graph.nodes)
    assert kinds["quantized_decomposed.quantize_per_tensor.default"] == 2
    assert kinds["quantized_decomposed.dequantize_per_channel.default"] == 3


def test_products_have_the_paths_of_their_weights(graph):
    assert [p.name for p in products_of(graph)] == list(SCALES)


def test_weights_that_two_products_read_are_named_once_for_each():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.only = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return self.only(self.only(x).relu())

    graph = graph_of(Twice())
    names = [p.name for p in products_of(graph)]
    assert names == ["only.weight", "only.weight#2"]
    made = QuantisedNetwork(graph, {"only.weight#2": 0.01})
    assert made(IMAGES).shape == IMAGES.shape


def test_an_unknown_product_is_refused(graph):
    with pytest.raises(ModelError, match=r"quantised layer other\.weight"):
        QuantisedNetwork(graph, {"other.weight": 0.1})


def test_the_float_graph_stays_as_it_is(graph):
    before, code = graph(IMAGES), graph.code
    images = IMAGES.clone()
    QuantisedNetwork(graph, SCALES)(images)
    assert graph.code == code
    assert torch.equal(graph(IMAGES), before)
    assert torch.equal(images, IMAGES)


def test_without_scales_the_network_is_the_float_one(graph):
    assert torch.equal(QuantisedNetwork(graph, {})(IMAGES), graph(IMAGES))


def test_a_batch_gives_the_outputs_of_its_images(quantised):
    each = torch.cat([quantised(image[None]) for image in IMAGES])
    assert torch.allclose(quantised(IMAGES), each, atol=1e-6)


def test_values_beyond_the_grid_are_clipped(graph):
    made = QuantisedNetwork(graph, {"left.weight": 1e-3})
    large = torch.full((1, 3, 8, 8), 10.0)
    inner = QuantisedNetwork(graph, {"left.weight": 1e-3, "right.weight": 1e-3})
    assert torch.equal(inner(large), inner(10 * large))
    assert not torch.equal(made(large), made(10 * large))


def test_torch_exports_it_and_the_runtime_agrees(quantised, tmp_path):
    path = tmp_path / "network.onnx"
    batch = {0: torch.export.Dim("batch")}
    whole = nn.Sequential(quantised)
    program = torch.export.export(
        whole, (IMAGES,), dynamic_shapes=(batch,), strict=False
    )
    assert torch.equal(program.module()(IMAGES[:2]), quantised(IMAGES[:2]))
    torch.onnx.export(program, f=str(path), dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(path)
    name = session.get_inputs()[0].name
    (found,) = session.run(None, {name: IMAGES.numpy()})
    assert np.median(np.abs(found - quantised(IMAGES).detach().numpy())) < 1e-6


def test_every_quantised_product_has_a_bias_that_changes_nothing(
    graph, quantised
):
    """OpenVINO 2026.4 computes zeros behind a tapped convolution without one, see `_NO_BIAS`."""
    biases = {
        p.args[1].args[0].target: quantised.graph.get_buffer(p.args[2].target)
        if p.args[2].target.startswith("quantised_")
        else quantised.graph.get_parameter(p.args[2].target)
        for p in quantised.graph.graph.nodes
        if "conv2d" in str(p.target) or "linear" in str(p.target)
    }
    assert len(biases) == 3
    assert all(bias.any() for bias in biases.values())
    added = biases["quantised_right_weight_levels"]
    assert added.shape == (4,) and 0 < added.max() < 1e-20
