import numpy as np
import onnx
import onnxruntime
import pytest

from anomedge.bundle import Bundle
from anomedge.export.passes.pack_zeros import PackZeros
from tests.export.passes.graphs import TARGET, product_graph, random, run


def test_triangles_are_stored_once_and_nothing_changes():
    weights = np.tril(random(40, 30, 30))
    proto = product_graph(weights)
    before = run(proto, x := random(40, 3, 30))
    size = proto.ByteSize()
    PackZeros(TARGET).apply(proto)
    onnx.checker.check_model(proto, full_check=True)
    assert proto.ByteSize() < 0.6 * size
    np.testing.assert_array_equal(run(proto, x), before)
    # A Reshape in between would be folded into a second copy of the tensor.
    assert [node.op_type for node in proto.graph.node] == ["Gather", "MatMul"]


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
    PackZeros(TARGET).apply(proto)
    assert proto.SerializeToString() == before


def test_a_number_that_one_patch_alone_has_is_kept():
    weights = np.tril(random(40, 30, 30))
    weights[17, 0, 29] = 5.0
    proto = product_graph(weights)
    before = run(proto, x := random(40, 2, 30))
    PackZeros(TARGET).apply(proto)
    np.testing.assert_array_equal(run(proto, x), before)


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
