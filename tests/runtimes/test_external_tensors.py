"""Tensors with values in other files: found, read, and put into the graph as onnx would."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from anomedge.runtimes.external_tensors import (
    External,
    external_tensors,
    has_references,
    values_of,
    with_values,
)
from tests.runtimes.external import beside, refer

VALUES = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array([[1], [2]], dtype=np.int64),
    "c": np.array(0.5, dtype=np.float16),
    "d": np.array([True, False]),
}


@pytest.fixture
def graph(tmp_path):
    """The content of a graph, and the contents of its files."""
    path = beside(tmp_path, VALUES)
    files = {"weights.bin": (tmp_path / "weights.bin").read_bytes()}
    return path.read_bytes(), files


def model_of(tensor):
    """The content of a model with one tensor."""
    graph = onnx.GraphProto(name="g", initializer=[tensor])
    return onnx.ModelProto(ir_version=8, graph=graph).SerializeToString()


def referring(**entries):
    """A tensor of 4 floats whose reference states these entries."""
    tensor = TensorProto(name="w", dims=[4], data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.append(
            onnx.StringStringEntryProto(key=key, value=value)
        )
    return tensor


def test_every_tensor_is_found_with_its_place(graph):
    found = external_tensors(graph[0])
    assert [tensor.name for tensor in found] == list(VALUES)
    assert [tensor.shape for tensor in found] == [(2, 3), (2, 1), (), (2,)]
    assert [tensor.offset for tensor in found] == [0, 24, 40, 42]
    assert {tensor.file for tensor in found} == {"weights.bin"}


def test_values_are_those_that_were_written(graph):
    content, files = graph
    for tensor in external_tensors(content):
        values = values_of(tensor, files)
        assert values.dtype == VALUES[tensor.name].dtype
        assert np.array_equal(values, VALUES[tensor.name])


def test_the_graph_in_one_piece_is_onnx_s_own(graph, tmp_path):
    content, files = graph
    whole = with_values(content, files)
    assert has_references(content)
    assert not has_references(whole)
    assert external_tensors(whole) == []
    assert with_values(whole, {}) == whole
    theirs = onnx.load(tmp_path / "model.onnx")
    ours = onnx.ModelProto.FromString(whole)
    assert ours.graph.node == theirs.graph.node
    for one, two in zip(
        ours.graph.initializer, theirs.graph.initializer, strict=True
    ):
        assert one.name == two.name
        assert np.array_equal(
            numpy_helper.to_array(one), numpy_helper.to_array(two)
        )


def test_tensors_of_subgraphs_and_attributes_are_found():
    inner = numpy_helper.from_array(np.zeros(4, np.float32), "inner")
    refer(inner, "w.bin", 0, 16)
    constant = numpy_helper.from_array(np.zeros(4, np.float32), "constant")
    refer(constant, "w.bin", 16, 16)
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["y"], value=constant)],
        "branch",
        [],
        [],
        [inner],
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch)
    graph = onnx.GraphProto(name="g", node=[node])
    content = onnx.ModelProto(graph=graph).SerializeToString()
    names = {tensor.name for tensor in external_tensors(content)}
    assert names == {"inner", "constant"}
    whole = with_values(content, {"w.bin": bytes(range(32))})
    assert bytes(range(16)) in whole
    assert bytes(range(16, 32)) in whole


def test_without_a_length_the_values_go_to_the_end():
    (tensor,) = external_tensors(model_of(referring(location="w", offset="4")))
    assert tensor.length is None
    assert bytes(tensor.within(b"head" + b"values")) == b"values"


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 9), (8, 1), (9, None), (1 << 60, 1)]
)
def test_values_beyond_the_file_are_refused(offset, length):
    tensor = External("w", 1, (2,), "w.bin", offset, length)
    with pytest.raises(ValueError, match="which has 8; copy the graph again"):
        tensor.within(bytes(8))


@pytest.mark.parametrize(
    ("kind", "shape", "match"),
    [(16, (2,), "ONNX type 16, which numpy"), (1, (3,), "cannot reshape")],
)
def test_types_and_shapes_that_do_not_fit_are_refused(kind, shape, match):
    tensor = External("w", kind, shape, "w.bin", 0, 8)
    with pytest.raises(ValueError, match=match):
        values_of(tensor, {"w.bin": bytes(8)})


@pytest.mark.parametrize("number", ["-1", "1e3", "²", "9" * 20, "0x1", ""])
def test_places_that_are_no_numbers_are_refused(number):
    content = model_of(referring(location="w", offset=number))
    with pytest.raises(ValueError, match="expected a number"):
        external_tensors(content)


def test_a_place_that_is_stated_twice_is_refused():
    tensor = referring(location="w")
    tensor.external_data.append(
        onnx.StringStringEntryProto(key="location", value="other")
    )
    with pytest.raises(ValueError, match=r"states \['location'\] twice"):
        external_tensors(model_of(tensor))


def test_content_without_a_reference_is_not_parsed():
    assert external_tensors(b"\xff" * 9) == []
    with pytest.raises(ValueError):
        external_tensors(b"\xff" * 9 + b"location")
