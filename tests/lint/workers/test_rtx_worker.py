"""The table of TensorRT-RTX against NVIDIA's parser and builder; it is no evidence about TensorRT 8, 10 or 11."""

import pytest
from onnx import TensorProto, helper

from anomedge.lint import examine
from anomedge.lint.reading import read_graph
from anomedge.lint.vendors import Fault, ask, node_of
from tests.lint.lint_cases import CASES, save
from tests.lint.workers.running import all_at_once

# It needs shapes as inputs, which the worker leaves unbuilt and says so.
UNBUILT = {"top_k given"}


@pytest.fixture(scope="module")
def rtx(case_folder):
    pytest.importorskip("tensorrt_rtx")
    return all_at_once("rtx", "2", case_folder)


@pytest.mark.parametrize("name", CASES)
def test_the_table_of_rtx_says_what_nvidias_parser_and_builder_do(
    name, rtx, case_folder
):
    said, path = rtx[name], case_folder / f"{name}.onnx"
    tabulated = examine(path, ["rtx"], batch=2, real=False)
    assert bool(said["faults"]) is bool(tabulated.errors), said["faults"]
    assert said["steps"] == (["parsed"] if name in UNBUILT else said["steps"])
    if not said["faults"]:
        assert said["note"] if name in UNBUILT else said["bytes"] > 10_000
        return
    fault = said["faults"][0]
    meant = node_of(read_graph(path, 2), Fault(fault["node"], fault["text"]))[0]
    if name == "add int16":
        return  # the parser gives up at the input and names no node
    assert meant in {
        finding.node
        for finding in tabulated.findings
        if finding.severity == "error"
    }


def test_polygraphy_reports_the_nodes_that_parse(tmp_path):
    """On TensorRT-RTX, without a GPU; the report stands in the message of the first refused node."""
    pytest.importorskip("tensorrt_rtx")
    polygraphy = pytest.importorskip("polygraphy")
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="first"),
        helper.make_node("Det", ["a"], ["b"], name="refused"),
        helper.make_node("Relu", ["b"], ["y"], name="last"),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    )
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    verdict = ask("rtx", save(model, tmp_path / "det.onnx"), "2", 120)
    assert [fault.node for fault in verdict.faults] == ["refused"]
    assert (
        f"Polygraphy {polygraphy.__version__}: "
        f"the other 2 nodes parse, in 2 groups"
    ) in verdict.faults[0].text
