"""A small graph with the input and outputs of a bundle, and the law of every layout with raw outputs."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from tests.parity.examples import DECISION

__all__ = ["SHAPE", "frames_graph", "run", "same_outputs"]

SHAPE = (5, 4)
_WEIGHTS = np.array([0.5, 0.3, 0.2], np.float32)


def frames_graph():
    """`frames` to a map, which weighs the channels differently, and its maximum."""
    frames = helper.make_tensor_value_info(
        "frames", TensorProto.UINT8, ["batch", *SHAPE, 3]
    )
    outputs = [
        helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch"]),
        helper.make_tensor_value_info(
            "anomaly_map", TensorProto.FLOAT, ["batch", 1, *SHAPE]
        ),
    ]
    nodes = [
        helper.make_node("Cast", ["frames"], ["floats"], to=1),
        helper.make_node("MatMul", ["floats", "weights"], ["weighted"]),
        helper.make_node(
            "Transpose", ["weighted"], ["anomaly_map"], perm=[0, 3, 1, 2]
        ),
        helper.make_node(
            "ReduceMax", ["anomaly_map"], ["score"], axes=[1, 2, 3], keepdims=0
        ),
    ]
    weights = numpy_helper.from_array(_WEIGHTS[:, None], "weights")
    graph = helper.make_graph(nodes, "g", [frames], outputs, [weights])
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


def run(model, feed):
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(["score", "anomaly_map"], feed)


def same_outputs(layout, frames):
    """Whether the layout's graph gives the outputs of the bundle's graph, for frames and between their levels."""
    expected = run(frames_graph(), {"frames": frames})
    model = frames_graph()
    layout.rewrite(model, DECISION)
    fed = [frames]
    if layout.rounds:
        noise = np.random.default_rng(1).uniform(-0.4, 0.4, frames.shape)
        fed.append(frames + noise)
    return all(
        np.array_equal(one, other)
        for each in fed
        for one, other in zip(
            run(model, layout.feed(each)), expected, strict=True
        )
    )
