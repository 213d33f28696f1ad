"""The graph model of the rules: values, scopes and nodes."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from anomedge.lint.graph import BITS, Graph, Node, Scope, Value, type_name


def node(name, scope, inputs=(), outputs=(), domain=""):
    return Node(name, "Relu", domain, inputs, outputs, {}, scope)


@pytest.mark.parametrize(
    ("shape", "elements"),
    [((2, 3), 6), ((), 1), ((0, 3), 0), ((None, 3), None), (None, None)],
)
def test_elements_are_known_with_the_whole_shape(shape, elements):
    assert Value("x", "FP32", shape).elements == elements


def test_every_element_type_has_its_bits():
    names = {type_name(kind) for kind in TensorProto.DataType.values()}
    without_bits = {"", "STRING", "COMPLEX64", "COMPLEX128"}
    known = {name for name in names - without_bits if name in BITS}
    assert {"FP32", "FP16", "BF16", "FP8", "FP4", "INT4", "BOOL"} <= known
    assert type_name(TensorProto.UNDEFINED) == type_name(9999) == ""


def test_inner_names_hide_outer_ones():
    outer = Scope(None, {"x": Value("x", "FP32", (1,))}, {"k": np.int64(3)})
    inner = Scope(outer, {"k": Value("k", "INT64", (2,))})
    assert inner.value("x") == outer.value("x")
    assert outer.constant("k") == (True, 3)
    assert inner.constant("k") == (False, None)
    assert inner.value("nowhere") == Value("nowhere", "", None)
    assert inner.constant("nowhere") == (False, None)


def test_a_node_has_its_given_inputs():
    scope = Scope(None, {"x": Value("x", "FP32", (1,))})
    relu = node("n", scope, ("", "x"))
    assert relu.given(0) is None
    assert relu.given(1) == scope.value("x")
    assert relu.given(2) is None
    assert relu.standard
    assert node("n", scope, domain="ai.onnx").standard
    assert not node("n", scope, domain="com.microsoft").standard


def test_values_have_the_node_that_makes_them():
    outer = Scope(None, {n: Value(n, "FP32", (1,)) for n in ("x", "y")})
    inner = Scope(outer, {"z": Value("z", "FP32", (1,))})
    first = node("first", outer, ("x",), ("y", ""))
    second = node("second", inner, ("y",), ("z",))
    graph = Graph(
        path=Path("g.onnx"),
        opset=17,
        nodes=(first, second),
        inputs=("x",),
        outputs=("y",),
        open_axes={},
        tensors=(),
        functions=(),
        batch=1,
    )
    assert [(made, value.name) for made, value in graph.values] == [
        (None, "x"),
        (first, "y"),
        (second, "z"),
    ]
