import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from anomedge.errors import ExportError
from anomedge.export.passes.keep_zeros_before_pools import KeepZerosBeforePools
from tests.export.passes.graphs import TARGET, random, run


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
    """ONNX Runtime alone fuses the zeros into the pool, whose padding is minus infinity."""
    x = -1 - np.abs(random(1, 2, 8, 8))
    proto = padded_pool_graph(value, axes)
    onnx.checker.check_model(proto)
    framed = nn.functional.pad(
        torch.from_numpy(x), (1, 1, 1, 1), value=value or 0.0
    )
    wanted = torch.max_pool2d(framed, 3, 2).numpy()
    KeepZerosBeforePools(TARGET).apply(proto)
    onnx.checker.check_model(proto)
    np.testing.assert_allclose(run(proto, x)[0], wanted, atol=1e-37)


def test_a_pad_with_other_readers_stays():
    proto = padded_pool_graph(0.0)
    proto.graph.node.append(helper.make_node("ReduceSum", ["padded"], ["sum"]))
    proto.graph.output.append(
        helper.make_tensor_value_info("sum", TensorProto.FLOAT, None)
    )
    KeepZerosBeforePools(TARGET).apply(proto)
    assert list(proto.graph.node[0].input) == ["x", "pads", "value"]


def test_other_padding_values_stay():
    before = padded_pool_graph(-3.0)
    after = padded_pool_graph(-3.0)
    KeepZerosBeforePools(TARGET).apply(after)
    assert [list(node.input) for node in after.graph.node] == [
        list(node.input) for node in before.graph.node
    ]
    half = padded_pool_graph(None, kind=TensorProto.FLOAT16)
    KeepZerosBeforePools(TARGET).apply(half)
    (least,) = (
        numpy_helper.to_array(t)
        for t in half.graph.initializer
        if t.name == half.graph.node[0].input[2]
    )
    assert least.dtype == np.float16
    assert 0 < least < 1e-4


def test_a_pad_of_unknown_type_is_refused():
    proto = padded_pool_graph(None)
    del proto.graph.value_info[:]
    with pytest.raises(ExportError, match="got a Pad of unknown type"):
        KeepZerosBeforePools(TARGET).apply(proto)
