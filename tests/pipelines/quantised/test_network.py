"""Quantised networks: levels and scales by their formula in float64, one grid per value, and graphs that export."""

from collections import Counter

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from anomedge.errors import ModelError
from anomedge.pipelines.quantised.calibration import ObservedNetwork
from anomedge.pipelines.quantised.network import (
    QuantisedNetwork,
    products_of,
)
from anomedge.pipelines.quantised.scales import levels_of, weight_scales
from tests.pipelines.quantised.networks import Branches, graph_of

FINE = 3 / 256
SCALES = {"left.weight": FINE, "right.weight": FINE, "head.weight": 2 * FINE}
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


def rounded_product(product, x, layer, scale, **options):
    """The product of rounded values in float64: weights and bias on the grids of `weight_scales`."""
    bias = layer.bias
    columns = weight_scales(layer.weight, bias, scale).double()
    shape = (-1, *[1] * (layer.weight.ndim - 1))
    column = columns.reshape(shape)
    levels = (layer.weight.double() / column).round().clamp(-127, 127)
    if bias is not None:
        units = columns * scale
        bias = (bias.double() / units).round() * units
    return product(x, levels * column, bias, **options)


def test_outputs_are_those_of_the_formula_to_the_last_bit(quantised):
    network = Branches().requires_grad_(False)
    conv2d, linear = nn.functional.conv2d, nn.functional.linear
    x = rounded(IMAGES, FINE)
    left = rounded_product(conv2d, x, network.left, FINE, padding=1)
    right = rounded_product(conv2d, x, network.right, FINE)
    both = rounded((left.relu() + right).float(), 2 * FINE).movedim(1, -1)
    head = rounded_product(linear, both, network.head, 2 * FINE)
    with torch.no_grad():
        found = quantised(IMAGES)
    assert torch.equal(found.double(), head.movedim(-1, 1))


def test_levels_are_symmetric_and_a_channel_of_zeros_keeps_its_zeros():
    weights = torch.randn(4, 3, 3, 3)
    weights[2] = 0
    scales = weight_scales(weights, None, 1.0)
    levels = levels_of(weights, scales, 127)
    largest = levels.flatten(1).abs().amax(dim=1)
    assert largest[2] == 0 and (largest[[0, 1, 3]] > 80).all()
    assert levels.min() >= -127
    assert (scales > 0).all()
    same = weight_scales(-weights, None, 1.0)
    assert torch.equal(same, scales)
    assert torch.equal(levels_of(-weights, same, 127), -levels)
    column = scales.reshape(-1, 1, 1, 1)
    kept = weights.clamp(-127 * column, 127 * column)
    assert ((levels * column - kept).abs() <= column / 2).all()


def test_levels_are_stored_as_int8(quantised):
    stored = [x for n, x in quantised.graph.named_buffers() if n.endswith("_levels")]  # fmt: skip
    assert len(stored) == 3
    assert all(levels.dtype == torch.int8 for levels in stored)


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
    made = QuantisedNetwork(graph, {"only.weight#2": FINE})
    assert made(IMAGES).shape == IMAGES.shape


def test_an_unknown_product_is_refused(graph):
    with pytest.raises(ModelError, match=r"quantised layer other\.weight"):
        QuantisedNetwork(graph, {"other.weight": 0.125})


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
    coarse = 2.0**-10
    made = QuantisedNetwork(graph, {"left.weight": coarse})
    large = torch.full((1, 3, 8, 8), 10.0)
    inner = QuantisedNetwork(
        graph, {"left.weight": coarse, "right.weight": coarse}
    )
    assert torch.equal(inner(large), inner(10 * large))
    assert not torch.equal(made(large), made(10 * large))


class Joined(nn.Module):
    """Layers that are usual in backbones, and a concatenation of parts with different ranges."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.mixed = nn.Conv2d(16, 16, 1)
        self.small = nn.Conv2d(16, 16, 3, padding=1)
        self.joined = nn.Conv2d(48, 32, 3, stride=2, padding=1)
        self.head = nn.Linear(32, 5)

    def forward(self, x):
        stem = nn.functional.relu6(self.stem(x))
        mixed = self.mixed(nn.functional.relu6(self.depthwise(stem))) + stem
        parts = [self.small(mixed).relu(), mixed * 4, stem]
        both = self.joined(torch.cat(parts, dim=1).relu())
        return self.head(both.movedim(1, -1)).movedim(-1, 1)


def onnxruntime_outputs(path, images):
    session = onnxruntime.InferenceSession(path)
    name = session.get_inputs()[0].name
    return session.run(None, {name: images})[0]


def openvino_outputs(path, images):
    openvino = pytest.importorskip("openvino")
    precise = {"INFERENCE_PRECISION_HINT": "f32"}
    return openvino.compile_model(path, "CPU", precise)([images])[0]


@pytest.fixture(scope="module")
def joined(tmp_path_factory):
    """A quantised network with scales of its own values, and its ONNX file."""
    graph = graph_of(Joined())
    observed = ObservedNetwork(graph)
    observed(IMAGES)
    made = nn.Sequential(QuantisedNetwork(graph, observed.scales()))
    batch = {0: torch.export.Dim("batch")}
    program = torch.export.export(
        made, (IMAGES,), dynamic_shapes=(batch,), strict=False
    )
    path = tmp_path_factory.mktemp("joined") / "network.onnx"
    torch.onnx.export(program, f=str(path), dynamo=True, verbose=False)
    return made, path


@pytest.mark.parametrize("outputs_of", [onnxruntime_outputs, openvino_outputs])
@pytest.mark.parametrize(
    "images", [IMAGES, torch.full((2, 3, 8, 8), 0.37)], ids=["noise", "grey"]
)
def test_runtimes_give_the_bits_of_torch(joined, outputs_of, images):
    made, path = joined
    with torch.no_grad():
        expected = made(images).numpy()
    found = outputs_of(path, images.numpy())
    # 1e-30 stands for a bias of zero.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-25)


def test_a_scale_of_an_earlier_release_is_refused(graph):
    with pytest.raises(ModelError, match=r"0\.01 of the quantised layer left"):
        QuantisedNetwork(graph, {"left.weight": 0.01})


def test_every_quantised_product_has_a_bias_that_changes_nothing(
    graph, quantised
):
    """OpenVINO 2026.4 computes zeros behind a tapped convolution without one, see `_NO_BIAS`."""
    biases = {
        p.args[1].args[0].target: quantised.graph.get_buffer(p.args[2].target)
        for p in quantised.graph.graph.nodes
        if "conv2d" in str(p.target) or "linear" in str(p.target)
    }
    assert len(biases) == 3
    assert all(bias.any() for bias in biases.values())
    added = biases["quantised_right_weight_levels"]
    assert added.shape == (4,) and 0 < added.max() < 1e-20
