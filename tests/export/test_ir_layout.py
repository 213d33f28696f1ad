import numpy as np
import pytest

from anomedge.export.ir_layout import arrange_for_channels_last

openvino = pytest.importorskip("openvino")
opset = pytest.importorskip("openvino.opset13")

RANDOM = np.random.default_rng(0)
PLANES, COLUMNS = [0, 3, 1, 2], [0, 2, 3, 1]


def numbers(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def axes(order):
    return opset.constant(np.array(order, np.int64))


def convolved(x):
    weights = opset.constant(numbers(3, 3, 3, 3))
    return opset.convolution(x, weights, [1, 1], [1, 1], [1, 1], [1, 1])


CHANNELS = numbers(1, 3, 1, 1)


def scaled(shape, order, first=CHANNELS):
    """(255 - x) * first / 2 of planes, and a convolution."""
    frames = opset.parameter(shape, np.uint8, name="frames")
    x = opset.transpose(opset.convert(frames, "f32"), axes(order))
    x = opset.subtract(opset.constant(np.float32(255)), x)
    x = opset.multiply(x, opset.constant(first))
    return frames, opset.divide(x, opset.constant(np.float32(2)))


def run(graph, given):
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(graph, "CPU", settings)
    return compiled([given])[0]


def arranged(graph, given):
    """Arrange a graph; return the number of rewrites, after a comparison of the values."""
    before = run(graph, given)
    count = arrange_for_channels_last(graph)
    # OpenVINO fuses products and sums as its layouts allow.
    scale = np.abs(before).max()
    np.testing.assert_allclose(run(graph, given), before, atol=1e-6 * scale)
    return count


def source_kinds(graph, kind):
    return [
        node.input_value(0).get_node().get_type_name()
        for node in graph.get_ordered_ops()
        if node.get_type_name() == kind
    ]


@pytest.mark.parametrize("batch", [1, -1])
@pytest.mark.parametrize(
    ("shape", "order"), [((4, 6, 3), PLANES), ((6, 3, 4), COLUMNS)]
)
def test_pictures_are_scaled_before_the_transpose(batch, shape, order):
    frames, x = scaled([batch, *shape], order)
    graph = openvino.Model([convolved(x)], [frames])
    given = RANDOM.integers(0, 256, (2 if batch < 0 else 1, *shape), np.uint8)
    assert arranged(graph, given) == 1
    assert source_kinds(graph, "Convolution") == ["Transpose"]
    assert source_kinds(graph, "Transpose") == ["Divide"]
    assert arrange_for_channels_last(graph) == 0


def test_two_networks_read_the_same_planes():
    frames, x = scaled([1, 4, 6, 3], PLANES)
    outputs = opset.add(convolved(x), convolved(x))
    graph = openvino.Model([outputs], [frames])
    given = RANDOM.integers(0, 256, (1, 4, 6, 3), np.uint8)
    assert arranged(graph, given) == 1
    assert source_kinds(graph, "Convolution") == ["Transpose"] * 2


@pytest.mark.parametrize(
    "finish",
    [
        lambda x: opset.relu(x),
        lambda x: opset.add(convolved(x), opset.relu(x)),
        lambda x: convolved(opset.multiply(x, x)),
    ],
)
def test_scaling_that_others_read_stays(finish):
    frames, x = scaled([1, 4, 6, 3], PLANES)
    graph = openvino.Model([finish(x)], [frames])
    given = RANDOM.integers(0, 256, (1, 4, 6, 3), np.uint8)
    assert arranged(graph, given) == 0


def test_a_constant_for_each_pixel_stays_behind_the_transpose():
    frames, x = scaled([1, 4, 6, 3], PLANES, numbers(1, 1, 4, 6))
    graph = openvino.Model([convolved(x)], [frames])
    given = RANDOM.integers(0, 256, (1, 4, 6, 3), np.uint8)
    assert arranged(graph, given) == 0


def gathered(indices, axis=1):
    x = opset.parameter([1, 4, 4, 4], np.float32, name="x")
    places = opset.constant(np.array(indices, np.int64))
    return x, opset.gather(x, places, opset.constant(np.int64(axis)))


def selecting(indices, axis=1):
    x, y = gathered(indices, axis)
    y.output(0).set_names({"chosen"})
    return openvino.Model([y], [x])


def test_channels_are_permuted_along_the_last_axis():
    graph = selecting([2, 0, 3, 1])
    assert arranged(graph, numbers(1, 4, 4, 4)) == 1
    assert source_kinds(graph, "Gather") == ["Transpose"]
    assert graph.outputs[0].get_names() == {"chosen"}
    assert arrange_for_channels_last(graph) == 0


def test_halves_of_permuted_channels_are_split_along_the_last_axis():
    x, y = gathered([2, 0, 3, 1])
    halves = opset.variadic_split(
        y, opset.constant(np.int64(1)), opset.constant(np.array([1, 3]))
    )
    outputs = [opset.relu(half) for half in halves.outputs()]
    graph = openvino.Model(outputs, [x])
    given = numbers(1, 4, 4, 4)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    assert arrange_for_channels_last(graph) == 1
    found = openvino.Core().compile_model(graph, "CPU", settings)([given])
    expected = np.maximum(given, 0)[:, [2, 0, 3, 1]]
    np.testing.assert_array_equal(found[0], expected[:, :1])
    np.testing.assert_array_equal(found[1], expected[:, 1:])
    assert source_kinds(graph, "VariadicSplit") == ["Gather"]
    assert source_kinds(graph, "Relu") == ["Transpose"] * 2


@pytest.mark.parametrize(
    ("indices", "axis"),
    [([2, 0], 1), ([0, 1, 1, 2], 1), ([2, 0, 3, 1], 2)],
)
def test_other_selections_stay(indices, axis):
    graph = selecting(indices, axis)
    assert arranged(graph, numbers(1, 4, 4, 4)) == 0
