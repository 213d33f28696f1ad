"""Graphs as rules see them: nodes of subgraphs, and constants."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from anomedge.lint import examine
from tests.lint.lint_cases import CASES, FLOAT, model, node, save


def test_nodes_within_loops_are_checked_too(folder):
    case = onnx.ModelProto()
    case.CopyFrom(CASES["loop"])
    body = case.graph.node[0].attribute[0].g
    body.node[1].op_type, body.node[1].input[:] = "Det", ["v"]
    found = [
        f
        for f in examine(
            save(case, folder / "inner.onnx"), ["10.3"], real=False
        ).findings
        if f.rule == "operator"
    ]
    assert [(f.node, f.op) for f in found] == [("planted.body/double", "Det")]


def test_constants_of_constant_nodes_count_as_initialisers(folder):
    nodes = [
        helper.make_node(
            "Constant",
            [],
            ["raw"],
            value=numpy_helper.from_array(np.array([4000])),
        ),
        helper.make_node("Identity", ["raw"], ["k"]),
        node("TopK", ["x", "k"], ["y", "i"]),
    ]
    outputs = {
        "y": (FLOAT, [None, None]),
        "i": (onnx.TensorProto.INT64, [None, None]),
    }
    path = save(
        model(nodes, {"x": (FLOAT, ["B", 5000])}, outputs),
        folder / "constant.onnx",
    )
    found = {
        (f.rule, f.message.split(";")[0])
        for f in examine(path, ["8.5"], real=False).findings
    }
    assert found == {("topk-limit", "got 4000"), ("topk-1024", "got 4000")}
