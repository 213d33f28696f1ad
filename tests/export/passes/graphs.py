"""Small graphs, and how to run them."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from anomedge.export.passes import Target

TARGET = Target(opset=17, batch=None, frame=(4, 4))


def run(proto, x):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: x})


def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


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


def model_of(*nodes, opset=18, initializers=()):
    x = helper.make_tensor_value_info("frames", TensorProto.FLOAT, ["batch", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", None])
    graph = helper.make_graph(list(nodes), "g", [x], [y], list(initializers))
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)]
    )


AXES = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
