"""Stages of a graph: the nodes and weights that each is the first to need."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from anomedge.bundle.anatomy import anatomy_of
from anomedge.errors import BundleError

FLOAT = TensorProto.FLOAT


@pytest.fixture
def path(tmp_path):
    """x -> first (Mul, Add) -> second (Relu, Mul); both products read `w`, and `unused` is read by none."""
    nodes = [
        helper.make_node("Mul", ["x", "w"], ["a"]),
        helper.make_node("Add", ["a", "b"], ["first"]),
        helper.make_node("Relu", ["first"], ["c"]),
        helper.make_node("Mul", ["c", "w"], ["second"]),
        helper.make_node("Relu", ["second"], ["left over"]),
    ]
    weights = {
        "w": np.zeros(6, np.float32),
        "b": np.zeros((2, 3), np.float16),
        "unused": np.zeros(99, np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "stages",
        [helper.make_tensor_value_info("x", FLOAT, ["B", 6])],
        [
            helper.make_tensor_value_info("first", FLOAT, ["B", 6]),
            helper.make_tensor_value_info("second", FLOAT, ["B", 6]),
        ],
        [numpy_helper.from_array(v, k) for k, v in weights.items()],
    )
    onnx.save(helper.make_model(graph), tmp_path / "stages.onnx")
    return tmp_path / "stages.onnx"


def test_a_node_and_a_weight_belong_to_the_first_stage_that_needs_them(path):
    first, second = anatomy_of(path, ["first", "second"])
    assert first.operators == {"Mul": 1, "Add": 1}
    assert second.operators == {"Relu": 1, "Mul": 1}
    # Six float32 and six float16 numbers.
    assert (first.weight_bytes, second.weight_bytes) == (36, 0)
    assert (first.nodes, second.nodes) == (2, 2)
    assert first.shape == (None, 6)


def test_a_stage_alone_takes_all_that_lies_before_it(path):
    (second,) = anatomy_of(path, ["second"])
    assert second.operators == {"Mul": 2, "Add": 1, "Relu": 1}
    assert second.weight_bytes == 36


def test_stages_that_the_graph_lacks_are_named(path):
    with pytest.raises(BundleError, match=r"has no stages \['third'\]"):
        anatomy_of(path, ["first", "third"])


@pytest.mark.parametrize("content", [None, b"no graph"])
def test_a_file_that_is_no_graph_is_refused(path, content):
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(BundleError, match="is no ONNX graph"):
        anatomy_of(path, ["first"])
