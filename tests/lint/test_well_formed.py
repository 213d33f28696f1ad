"""Graphs that no runtime can read, or whose analysis would fill the memory, are refused."""

import onnx
import pytest
from onnx import TensorProto, helper

from anomedge.errors import InputError
from anomedge.lint import examine
from tests.lint.lint_cases import FLOAT, model, node, save


def test_functions_that_double_are_refused_before_they_are_written_out(
    tmp_path,
):
    case = model(
        [node("f40", ["x"], ["y"])], {"x": (FLOAT, [1])}, {"y": (FLOAT, [1])}
    )
    case.graph.node[0].domain = "own"
    case.opset_import.append(onnx.helper.make_opsetid("own", 1))
    for number in range(41):
        inner = [("f" + str(number - 1), "own") if number else ("Relu", "")] * 2
        nodes = [
            onnx.helper.make_node(op, [source], [made], domain=domain)
            for (op, domain), source, made in zip(
                inner, ("x", "z"), ("z", "y"), strict=True
            )
        ]
        opsets = [
            onnx.helper.make_opsetid("", 17),
            onnx.helper.make_opsetid("own", 1),
        ]
        case.functions.append(
            onnx.helper.make_function(
                "own", f"f{number}", ["x"], ["y"], nodes, opsets
            )
        )
    (tmp_path / "doubling.onnx").write_bytes(case.SerializeToString())
    with pytest.raises(
        InputError, match=r"got 2\.2e\+12 nodes with its functions written out"
    ):
        examine(tmp_path / "doubling.onnx", real=False)


def test_shapes_without_end_are_refused(tmp_path):
    case = model([node("Relu", ["w"], ["y"])], {}, {"y": (FLOAT, [1])})
    case.graph.initializer.append(
        TensorProto(name="w", dims=[1 << 62] * 240, data_type=FLOAT)
    )
    (tmp_path / "endless.onnx").write_bytes(case.SerializeToString())
    with pytest.raises(
        InputError, match="a value of 240 dimensions; expected 64 at most"
    ):
        examine(tmp_path / "endless.onnx", real=False)


def relu(given, made):
    return helper.make_node("Relu", [given], [made], name=f"of {given}")


def branches(inner):
    """Two of them, which give what nodes within make of the x outside."""
    graph = helper.make_graph(
        inner, "branch", [], [helper.make_tensor_value_info("z", FLOAT, None)]
    )
    return helper.make_node(
        "If", ["c"], ["y"], then_branch=graph, else_branch=graph
    )


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([relu("x", "y"), relu("x", "y")], "'y' is made twice"),
        ([relu("x", "x"), relu("x", "y")], "'x' is made twice"),
        (
            [relu("nowhere", "y")],
            "'of nowhere' reads 'nowhere', which nothing makes",
        ),
        ([relu("x", "w")], "an output reads 'y', which nothing makes"),
        ([branches([relu("q", "z")])], "'of q' reads 'q', which nothing makes"),
        ([branches([relu("x", "z")])], None),
        # In another order than they run: NVIDIA's parser sorts them.
        ([relu("w", "y"), relu("x", "w")], None),
    ],
)
def test_names_that_nothing_makes_or_two_nodes_make_are_refused(
    nodes, said, tmp_path
):
    case = model(
        nodes,
        {"x": (FLOAT, [2]), "c": (TensorProto.BOOL, [])},
        {"y": (FLOAT, [2])},
    )
    path = save(case, tmp_path / "names.onnx")
    if said is None:
        assert examine(path, real=False).graphs == ("names.onnx",)
        return
    with pytest.raises(InputError, match=said):
        examine(path, real=False)
