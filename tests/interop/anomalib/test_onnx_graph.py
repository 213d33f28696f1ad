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
from anomedge.interop.anomalib.onnx_graph import GraphTensor, read_onnx
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


def written(path, nodes, constants=()):
    """A graph of these nodes, with an input and an output."""
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        for name in ("x", "y")
    ]
    tensors = [
        numpy_helper.from_array(v, k) for k, v in dict(constants).items()
    ]
    made = helper.make_graph(nodes, "g", values[:1], values[1:], tensors)
    path.write_bytes(helper.make_model(made).SerializeToString())
    return read_onnx(path)


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
    return written(tmp_path / "m.onnx", nodes, constants)


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


def test_numbers_that_are_stored_one_by_one_are_read(tmp_path):
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.5, -2.0])
    assert GraphTensor(tensor, tmp_path).load().tolist() == [1.5, -2]
    tensor.dims[0] = 3
    with pytest.raises(ModelError, match=r"with values of shape \(3,\)"):
        GraphTensor(tensor, tmp_path).load()


@pytest.mark.parametrize("offset", ["-1", "1e3", "\u0661", "1" * 16, "0x0"])
def test_offsets_are_decimal_numbers(tmp_path, offset):
    tensor = TensorProto(name="w", dims=[1], data_type=1, data_location=1)
    for key, value in (("location", "w.bin"), ("offset", offset)):
        tensor.external_data.add(key=key, value=value)
    (tmp_path / "w.bin").write_bytes(bytes(8))
    with pytest.raises(ModelError, match="at offset"):
        GraphTensor(tensor, tmp_path).load()


def test_values_beside_the_graph_begin_at_their_offset(tmp_path):
    tensor = TensorProto(name="w", dims=[2], data_type=1, data_location=1)
    for key, value in (("location", "w.bin"), ("offset", "4")):
        tensor.external_data.add(key=key, value=value)
    values = np.array([9, 1, 2], np.float32)
    (tmp_path / "w.bin").write_bytes(values.tobytes())
    assert GraphTensor(tensor, tmp_path).load().tolist() == [1, 2]
