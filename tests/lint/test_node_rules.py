"""Rules about single nodes; the tables of the targets apply them in test_run."""

import numpy as np
import pytest

from anomedge.lint.node_rules import (
    Attribute,
    Boundary,
    Constant,
    Equation,
    Limit,
    Outputs,
    Present,
    Rank,
    Supported,
    Types,
)
from anomedge.lint.reading import read_graph
from tests.lint.lint_cases import CASES, save, single

TEXTS = {"severity": "error", "why": "w", "source": "s", "rewrite": "r"}


@pytest.fixture
def found(tmp_path):
    """What a rule yields for a case: (node, text) pairs."""

    def find(rule, case, **operators):
        graph = read_graph(save(case, tmp_path / "case.onnx"), 2)
        places = rule.places(graph, operators)
        return [(node.name, text) for node, text in places]

    return find


def of(kind, *operators, **more):
    """A rule with its texts."""
    name = {Outputs: "outputs"}.get(kind, kind.__name__.lower())
    listed = {"operators": operators} if operators else {}
    return kind(kind=name, **listed, **TEXTS, **more)


def test_operators_that_a_table_lacks_or_refuses(found):
    rule = of(Supported)
    assert found(rule, CASES["relu"], Relu="FP32") == []
    assert found(rule, CASES["relu"], Relu="") == [("planted", "not supported")]
    assert found(rule, CASES["relu"]) == [
        ("planted", "not in the table of operators")
    ]
    assert found(rule, CASES["microsoft"]) == []


def test_types_of_data(found):
    rule = of(Types, taken_as={"INT64": "INT32"}, beside=("UINT8",))
    case = CASES["relu half"]
    assert found(rule, case, Relu="FP32 BF16") == [
        ("planted", "FP16 data; listed are FP32, BF16")
    ]
    assert found(rule, case, Relu="any") == []
    assert found(rule, case, Relu="FP16") == []
    assert found(rule, CASES["clip int64"], Clip="INT32") == []
    assert found(rule, CASES["clip int64"], Clip="FP32") != []
    assert found(rule, CASES["add uint8"], Add="FP32") == []


def test_a_type_may_be_kept_to_the_boundary(found):
    case = CASES["gather uint8"]
    rule = of(Boundary, "Cast", type="UINT8")
    assert found(rule, case) == [("planted", 'reads "x" as UINT8')]
    assert found(of(Boundary, "Cast", "Gather", type="UINT8"), case) == []


def test_every_value_of_a_list_is_checked(found):
    case = single("MaxPool", kernel_shape=[2, 3])
    one = of(Attribute, "MaxPool", name="kernel_shape", allowed=(2,))
    both = of(Attribute, "MaxPool", name="kernel_shape", allowed=(2, 3))
    other = of(Attribute, "MaxPool", name="strides", allowed=(1,))
    assert found(one, case) == [("planted", "kernel_shape = [2, 3]")]
    assert found(both, case) == found(other, case) == []


@pytest.mark.parametrize(
    ("least", "most", "refused"),
    [(0, None, False), (4, 4, False), (5, None, True), (0, 3, True)],
)
def test_ranks_lie_in_a_range(least, most, refused, found):
    rule = of(Rank, "Relu", least=least, most=most)
    expected = [("planted", "rank 4")] if refused else []
    assert found(rule, CASES["relu"]) == expected


def test_inputs_that_must_be_constant(found):
    rule = of(Constant, "TopK", input=1)
    assert found(rule, CASES["top_k 9"]) == []
    assert found(rule, CASES["top_k given"]) == [
        ("planted", 'input 1 ("k") is no initialiser')
    ]
    assert found(of(Constant, "TopK", input=7), CASES["top_k given"]) == []


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        ({"least": 9, "most": 9}, None),
        ({"most": 8}, "got 9"),
        ({"least": 10}, "got 9"),
        ({}, None),
    ],
)
def test_constants_lie_within_bounds(bounds, text, found):
    rule = of(Limit, "TopK", input=1, **bounds)
    expected = [("planted", text)] if text else []
    assert found(rule, CASES["top_k 9"]) == expected
    assert found(rule, CASES["top_k given"]) == []


def test_nan_is_within_no_bounds_and_breaks_none(found):
    case = single("Clip", more=("l",), constants={"l": np.float32(np.nan)})
    assert found(of(Limit, "Clip", input=1, least=0), case) == []


def test_outputs_beyond_the_most_are_named(found):
    case = CASES["layer normalization 3"]
    rule = of(Outputs, "LayerNormalization", most=1)
    assert found(rule, case) == [
        ("planted", 'output "mean" is asked for as well')
    ]
    assert found(of(Outputs, "LayerNormalization", most=3), case) == []


def test_an_operator_that_must_not_occur(found):
    assert found(of(Present, "Relu"), CASES["relu"]) == [
        ("planted", "Relu in the graph")
    ]
    assert found(of(Present, "Loop"), CASES["relu"]) == []


@pytest.mark.parametrize(
    ("name", "refused"),
    [("einsum", False), ("einsum ellipsis", True), ("einsum diagonal", True)],
)
def test_equations_without_ellipsis_and_diagonal(name, refused, found):
    assert bool(found(of(Equation, "Einsum"), CASES[name])) == refused
