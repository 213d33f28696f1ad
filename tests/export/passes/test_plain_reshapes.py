import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from anomedge.export.passes.plain_reshapes import PlainReshapes
from tests.export.passes.graphs import TARGET, random, run


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
    PlainReshapes(TARGET).apply(proto)
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
