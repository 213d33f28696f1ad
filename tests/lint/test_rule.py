"""Base classes of rules."""

from typing import Literal

import pytest
from pydantic import ValidationError

from anomedge.lint.graph import Graph, Node, Scope
from anomedge.lint.rule import OperatorRule, Rule

TEXTS = {
    "severity": "error",
    "why": "because",
    "source": "a document",
    "rewrite": "do this",
}


class Named(OperatorRule):
    kind: Literal["named"] = "named"

    def faults(self, node):
        yield f"found {node.name}"
        yield "again"


@pytest.fixture
def graph(tmp_path):
    scope = Scope(None)
    nodes = [("a", "Relu", ""), ("b", "Conv", ""), ("c", "Relu", "own")]
    return Graph(
        path=tmp_path / "g.onnx",
        opset=17,
        nodes=tuple(
            Node(name, op, domain, (), (), {}, scope)
            for name, op, domain in nodes
        ),
        inputs=(),
        outputs=(),
        open_axes={},
        tensors=(),
        functions=(),
        batch=1,
    )


@pytest.mark.parametrize(
    ("operators", "names"),
    [(("Relu",), ["a"]), (("*",), ["a", "b"]), (("Gemm",), []), ((), [])],
)
def test_nodes_of_the_operators_are_examined(operators, names, graph):
    rule = Named(operators=operators, **TEXTS)
    found = list(rule.places(graph, {}))
    assert [(node.name, text) for node, text in found] == [
        (name, text) for name in names for text in (f"found {name}", "again")
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"severity": "fatal"},
        {"why": ""},
        {"source": "x" * 1001},
        {"rewrite": None},
        {"more": 1},
    ],
)
def test_a_rule_states_severity_reason_source_and_advice(wrong):
    with pytest.raises(ValidationError):
        Named(operators=("Relu",), **(TEXTS | wrong))


def test_a_rule_without_a_method_cannot_be_built():
    with pytest.raises(TypeError, match="abstract"):
        Rule(**TEXTS)
