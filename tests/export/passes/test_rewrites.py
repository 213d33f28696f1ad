"""Rewritten graphs compute what they did before: less of it is stored, and less is computed."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from anomedge.bundle import Bundle
from anomedge.export.passes.rewrites import (
    keep_zeros_before_pools,
    pack_zeros,
    plain_reshapes,
    select_channels_early,
)


def run(proto, x):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: x})


def product_graph(weights):
    """x @ W of every patch."""
    patches, n, m = weights.shape
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "products",
        [
            helper.make_tensor_value_info(
                "x", TensorProto.FLOAT, [patches, "batch", n]
            )
        ],
        [
            helper.make_tensor_value_info(
                "y", TensorProto.FLOAT, [patches, "batch", m]
            )
        ],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )


def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_triangles_are_stored_once_and_nothing_changes():
    weights = np.tril(random(40, 30, 30))
    proto = product_graph(weights)
    before = run(proto, x := random(40, 3, 30))
    size = proto.ByteSize()
    pack_zeros(proto)
    onnx.checker.check_model(proto, full_check=True)
    assert proto.ByteSize() < 0.6 * size
    np.testing.assert_array_equal(run(proto, x), before)
    assert [node.op_type for node in proto.graph.node] == [
        "Gather",
        "Reshape",
        "MatMul",
    ]


@pytest.mark.parametrize(
    "weights",
    [
        random(40, 30, 30),
        np.tril(random(4, 8, 8)),
        np.zeros((0, 30, 30), np.float32),
    ],
)
def test_dense_and_small_tensors_stay(weights):
    proto = product_graph(weights)
    before = proto.SerializeToString()
    pack_zeros(proto)
    assert proto.SerializeToString() == before


def test_a_number_that_one_patch_alone_has_is_kept():
    weights = np.tril(random(40, 30, 30))
    weights[17, 0, 29] = 5.0
    proto = product_graph(weights)
    before = run(proto, x := random(40, 2, 30))
    pack_zeros(proto)
    np.testing.assert_array_equal(run(proto, x), before)


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


@pytest.mark.parametrize("case", CASES)
def test_channels_that_nobody_reads_are_not_computed(case):
    make, computed = CASES[case]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        proto = exported(Block(make()))
    before = run(proto, x := random(2, 3, 12, 10))
    select_channels_early(proto)
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


def test_what_something_else_reads_is_left_whole():
    proto = exported(Block(nn.Conv2d(8, 8, 3), shared=True))
    before = proto.SerializeToString()
    select_channels_early(proto)
    assert proto.SerializeToString() == before


def test_padims_graph_is_packed_and_its_runtime_unpacks_it_once(
    bundle_paths, tmp_path
):
    bundle = Bundle.open(bundle_paths["padim"])
    graph = onnx.load(bundle.file("model.onnx")).graph
    packed = [
        tensor.name
        for tensor in graph.initializer
        if tensor.name.endswith(".packed")
    ]
    assert packed
    assert all(
        node.input[0] in packed
        for node in graph.node
        if node.name.endswith(".unpack")
    )
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.graph_optimization_level = (
        onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    )
    onnxruntime.InferenceSession(
        bundle.file("model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    optimised = onnx.load(tmp_path / "optimised.onnx").graph
    assert not [
        node.name for node in optimised.node if node.name.endswith(".unpack")
    ]


def reshaping_graph(shape, **attributes):
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["x", "shape"], ["y"], **attributes)],
        "reshapes",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(shape, np.int64), "shape")],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )


@pytest.mark.parametrize(
    ("shape", "x"),
    [((-1, 6), random(2, 2, 3)), ((3, 0), np.zeros((0, 2), np.float32))],
)
def test_a_reshape_says_allowzero_only_where_there_is_a_zero(shape, x):
    proto = reshaping_graph(shape, allowzero=1)
    (before,) = run(proto, x)
    plain_reshapes(proto)
    np.testing.assert_array_equal(run(proto, x)[0], before)
    assert bool(proto.graph.node[0].attribute) == (0 in shape)


def test_no_reshape_of_ours_says_allowzero(bundle):
    for file in (
        bundle.path / name
        for name in ("model.onnx", "stages.onnx", "segments.onnx")
    ):
        nodes = onnx.load(file, load_external_data=False).graph.node
        assert {node.op_type for node in nodes} >= {"Reshape"}
        assert not [
            a for node in nodes for a in node.attribute if a.name == "allowzero"
        ]


def padded_pool_graph(value, axes=False, kind=TensorProto.FLOAT):
    pads = [1, 1, 1, 1] if axes else [0, 0, 1, 1, 0, 0, 1, 1]
    constants = {
        "pads": np.asarray(pads, np.int64),
        "axes": np.asarray([2, 3], np.int64),
    }
    reads = ["x", "pads"]
    if value is not None or axes:
        reads.append("" if value is None else "value")
        constants["value"] = np.asarray(
            value or 0, helper.tensor_dtype_to_np_dtype(kind)
        )
    if axes:
        reads.append("axes")
    graph = helper.make_graph(
        [
            helper.make_node("Pad", reads, ["padded"]),
            helper.make_node(
                "MaxPool",
                ["padded"],
                ["y"],
                kernel_shape=[3, 3],
                strides=[2, 2],
            ),
        ],
        "pool",
        [helper.make_tensor_value_info("x", kind, ["batch", 2, 8, 8])],
        [helper.make_tensor_value_info("y", kind, ["batch", 2, 4, 4])],
        [
            numpy_helper.from_array(values, name)
            for name, values in constants.items()
        ],
        value_info=[
            helper.make_tensor_value_info("padded", kind, ["batch", 2, 10, 10])
        ],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8
    )


@pytest.mark.parametrize("value", [None, 0.0, -3.0])
@pytest.mark.parametrize("axes", [False, True])
def test_a_pool_sees_the_zeros_that_its_frame_is_padded_with(value, axes):
    """ONNX Runtime by itself takes zeros for its own padding, which is no number at all."""
    x = -1 - np.abs(random(1, 2, 8, 8))
    proto = padded_pool_graph(value, axes)
    onnx.checker.check_model(proto)
    framed = nn.functional.pad(
        torch.from_numpy(x), (1, 1, 1, 1), value=value or 0.0
    )
    wanted = torch.max_pool2d(framed, 3, 2).numpy()
    keep_zeros_before_pools(proto)
    onnx.checker.check_model(proto)
    np.testing.assert_allclose(run(proto, x)[0], wanted, atol=1e-37)


def test_what_something_else_reads_too_stays():
    proto = padded_pool_graph(0.0)
    proto.graph.node.append(helper.make_node("ReduceSum", ["padded"], ["sum"]))
    proto.graph.output.append(
        helper.make_tensor_value_info("sum", TensorProto.FLOAT, None)
    )
    keep_zeros_before_pools(proto)
    assert list(proto.graph.node[0].input) == ["x", "pads", "value"]


def test_what_pads_with_something_else_stays():
    before = padded_pool_graph(-3.0)
    after = padded_pool_graph(-3.0)
    keep_zeros_before_pools(after)
    assert [list(node.input) for node in after.graph.node] == [
        list(node.input) for node in before.graph.node
    ]
    half = padded_pool_graph(None, kind=TensorProto.FLOAT16)
    keep_zeros_before_pools(half)
    (least,) = (
        numpy_helper.to_array(t)
        for t in half.graph.initializer
        if t.name == half.graph.node[0].input[2]
    )
    assert least.dtype == np.float16
    assert 0 < least < 1e-4
