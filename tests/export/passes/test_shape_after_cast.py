import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from anomedge.export.passes.shape_after_cast import ShapeAfterCast
from tests.export.passes.graphs import TARGET, run


def graph_of(kind, *nodes):
    made = [helper.make_node(*node[:3], **node[3]) for node in nodes]
    graph = helper.make_graph(
        made,
        "shapes",
        [helper.make_tensor_value_info("x", kind, ["batch", 2])],
        [
            helper.make_tensor_value_info("n", TensorProto.INT64, [2]),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2]),
        ],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )


SHAPE = ("Shape", ["x"], ["n"], {})
CAST = ("Cast", ["x"], ["y"], {"to": TensorProto.FLOAT})


@pytest.mark.parametrize("nodes", [(SHAPE, CAST), (CAST, SHAPE)])
def test_the_shape_is_that_of_the_cast_frames(nodes):
    proto, x = graph_of(TensorProto.UINT8, *nodes), np.ones((3, 2), np.uint8)
    before = run(proto, x)
    assert ShapeAfterCast(TARGET).apply(proto)
    onnx.checker.check_model(proto)
    assert [list(node.input) for node in proto.graph.node] == [["x"], ["y"]]
    for ours, theirs in zip(run(proto, x), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not ShapeAfterCast(TARGET).apply(proto)


def test_shapes_of_other_inputs_stay():
    proto = graph_of(TensorProto.FLOAT16, SHAPE, CAST)
    content = proto.SerializeToString()
    assert not ShapeAfterCast(TARGET).apply(proto)
    assert proto.SerializeToString() == content
