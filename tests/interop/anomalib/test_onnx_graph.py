"""Exported graphs: their constants, inside and beside the file."""

import hashlib

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from anomedge.errors import ModelError
from anomedge.files import sha256_of_file
from anomedge.interop.anomalib import import_native
from anomedge.interop.anomalib.onnx_graph import read_onnx
from tests.interop.anomalib import graphs


def test_external_values_lie_beside_the_graph(tmp_path):
    path = graphs.write("patchcore", tmp_path / "model.onnx", True)
    model = onnx.load(path)
    onnx.save(
        model, path, save_as_external_data=True, location="model.onnx.data"
    )
    imported = import_native(path)
    data = tmp_path / "model.onnx.data"
    digest = sha256_of_file(data)
    assert imported.pipeline.name == "patchcore"
    assert imported.foreign.beside == {"model.onnx.data": digest}
    (line,) = [each for each in imported.taken if each.what == "values"]
    assert line.value == f"in model.onnx.data, SHA-256 {digest}"
    data.write_bytes(b"short")
    with pytest.raises(ModelError, match=r"beyond the 5 bytes"):
        import_native(path)


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", ".."])
def test_external_values_elsewhere_are_refused(location, tmp_path):
    path = graphs.write("patchcore", tmp_path / "model.onnx", True)
    model = onnx.load(path)
    for constant in model.graph.initializer:
        if constant.name == "model.memory_bank":
            constant.ClearField("raw_data")
            constant.data_location = 1
            entry = constant.external_data.add()
            entry.key, entry.value = "location", location
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="not beside the graph"):
        import_native(path)


def test_sizes_beyond_the_bytes_are_refused(tmp_path):
    path = graphs.write("patchcore", tmp_path / "model.onnx", True)
    model = onnx.load(path)
    for constant in model.graph.initializer:
        if constant.name == "model.memory_bank":
            constant.dims[0] = 1 << 20
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="expected a whole ONNX file"):
        import_native(path)


def test_what_is_no_graph_is_refused(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(np.arange(64, dtype=np.uint8).tobytes())
    with pytest.raises(ModelError, match=r"model\.onnx"):
        import_native(path)


@pytest.mark.parametrize("name", ["missing.onnx", "folder.onnx"])
def test_a_graph_that_cannot_be_read_is_refused(tmp_path, name):
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ModelError, match=rf"{name}: it cannot be read"):
        import_native(tmp_path / name)


def write(path, nodes, constants=()):
    """Write a graph of these nodes, with an input and an output."""
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        for name in ("x", "y")
    ]
    tensors = [
        numpy_helper.from_array(v, k) for k, v in dict(constants).items()
    ]
    made = helper.make_graph(nodes, "g", values[:1], values[1:], tensors)
    path.write_bytes(helper.make_model(made).SerializeToString())


@pytest.fixture
def graph(tmp_path):
    inner = numpy_helper.from_array(np.array([2.5], np.float32), "inner")
    nodes = [
        helper.make_node("Constant", [], ["c"], value=inner),
        helper.make_node("Identity", ["w"], ["alias"]),
        helper.make_node("Add", ["x", "alias"], ["z"]),
        helper.make_node("Identity", ["z"], ["y"]),
    ]
    constants = {"w": np.arange(6.0).reshape(2, 3), "name": np.array(["a"])}
    write(tmp_path / "m.onnx", nodes, constants)
    with read_onnx(tmp_path / "m.onnx") as read:
        yield read


def test_constants_are_initialisers_and_nodes_behind_identities(graph):
    assert set(graph.constants) == {"w", "c"}
    assert graph.constant("alias") is graph.constants["w"]
    assert graph.constant("y") is None
    assert graph.constant("x") is None
    weights = graph.constant("alias")
    assert (weights.shape, weights.dtype) == ((2, 3), torch.float64)
    assert torch.equal(weights.load(), torch.arange(6.0).reshape(2, 3).double())


def test_a_scalar_is_a_constant_of_one_element(graph):
    assert graph.scalar("c") == 2.5
    assert graph.scalar("w") is graph.scalar("z") is None


def test_nodes_are_found_by_operator_and_by_value(graph):
    assert [node.op_type for node in graph.named("Add", "Constant")] == [
        "Constant",
        "Add",
    ]
    assert graph.producers["z"].op_type == "Add"
    assert graph.graph.output[0].name == "y"


def test_the_digest_is_that_of_the_file(graph, tmp_path):
    content = (tmp_path / "m.onnx").read_bytes()
    assert graph.digest == hashlib.sha256(content).hexdigest()
