"""Rules about single nodes: operators, types, ranks, attributes, constant inputs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np

from anomedge.lint.graph import Graph, Node, Value
from anomedge.lint.rule import Count, GraphRule, OperatorRule, Places, Rule

__all__ = [
    "Attribute",
    "Boundary",
    "Constant",
    "Equation",
    "Limit",
    "Outputs",
    "Present",
    "Rank",
    "Supported",
    "Types",
]


class Supported(Rule):
    """The table lists the operator and does not refuse it."""

    kind: Literal["supported"]

    def places(self, graph: Graph, operators: Mapping[str, str]) -> Places:
        """Yield nodes of ONNX operators that the table refuses or does not list."""
        for node in graph.nodes:
            if node.standard and not operators.get(node.op):
                yield (
                    node,
                    "not supported"
                    if node.op in operators
                    else "not in the table of operators",
                )


class Types(Rule):
    """The first data input has a type that the table lists; "any" allows all.

    Attributes:
        taken_as: types that the target treats as others, such as INT64 as INT32.
        beside: types that another rule covers.
    """

    kind: Literal["types"]
    taken_as: dict[str, str]
    beside: tuple[str, ...]

    def places(self, graph: Graph, operators: Mapping[str, str]) -> Places:
        """Yield nodes with data of another type."""
        for node in graph.nodes:
            value, listed = _data(node), operators.get(node.op, "")
            if (
                not node.standard
                or value is None
                or not value.kind
                or value.kind in self.beside
                or not listed
            ):
                continue
            if (
                listed != "any"
                and self.taken_as.get(value.kind, value.kind)
                not in listed.split()
            ):
                yield (
                    node,
                    f"{value.kind} data; listed are {', '.join(listed.split())}",
                )


class Boundary(GraphRule):
    """Only inputs and outputs of the graph have a type; inside, only some operators may read or produce it."""

    kind: Literal["boundary"]
    type: str
    operators: tuple[str, ...]

    def find(self, graph: Graph) -> Places:
        """Yield other nodes that read or produce it."""
        for node in graph.nodes:
            if not node.standard or node.op in self.operators:
                continue
            read = [
                name
                for name in node.inputs
                if name and node.scope.value(name).kind == self.type
            ]
            made = [
                name
                for name in node.outputs
                if name and node.scope.value(name).kind == self.type
            ]
            if read:
                yield node, f'reads "{read[0]}" as {self.type}'
            elif (
                made
                and node.op != "Constant"
                and not set(made) <= set(graph.outputs)
            ):
                yield node, f'makes "{made[0]}" as {self.type}'


class Attribute(OperatorRule):
    """An attribute, if given, has an allowed value; every element of a list is checked."""

    kind: Literal["attribute"]
    name: str
    allowed: tuple[int | str, ...]

    def faults(self, node: Node) -> Iterator[str]:
        """Yield a value that is not allowed."""
        value = node.attributes.get(self.name)
        values = (
            value
            if isinstance(value, list | tuple)
            else []
            if value is None
            else [value]
        )
        if any(one not in self.allowed for one in values):
            yield f"{self.name} = {value}"


class Rank(OperatorRule):
    """The rank of an input lies in a range."""

    kind: Literal["rank"]
    input: Count = 0
    least: Count = 0
    most: Count | None = None

    def faults(self, node: Node) -> Iterator[str]:
        """Yield a rank outside the range."""
        value = node.given(self.input)
        if value is not None and value.shape is not None:
            rank = len(value.shape)
            if rank < self.least or (
                self.most is not None and rank > self.most
            ):
                yield f"rank {rank}"


class Constant(OperatorRule):
    """An input, if given, is an initialiser or the output of a Constant node."""

    kind: Literal["constant"]
    input: Count

    def faults(self, node: Node) -> Iterator[str]:
        """Yield an input that is computed or fed."""
        value = node.given(self.input)
        if value is not None and not node.scope.constant(value.name)[0]:
            yield f'input {self.input} ("{value.name}") is no initialiser'


class Limit(OperatorRule):
    """The numbers in a constant input lie within bounds."""

    kind: Literal["limit"]
    input: Count
    least: int = -(1 << 63)
    most: int = (1 << 63) - 1

    def faults(self, node: Node) -> Iterator[str]:
        """Yield the first number outside the bounds."""
        value = node.given(self.input)
        content = (
            node.scope.constant(value.name)[1] if value is not None else None
        )
        if (
            content is None
            or content.dtype.kind not in "iufb"
            or not content.size
        ):
            return
        numbers = content.astype(np.float64)
        outside = numbers[(numbers < self.least) | (numbers > self.most)]
        if outside.size:
            yield f"got {outside.flat[0]:g}"


class Outputs(OperatorRule):
    """Largest number of outputs in use."""

    kind: Literal["outputs"]
    most: Count

    def faults(self, node: Node) -> Iterator[str]:
        """Yield the first output beyond it."""
        asked = [name for name in node.outputs[self.most :] if name]
        if asked:
            yield f'output "{asked[0]}" is asked for as well'


class Present(OperatorRule):
    """An operator must not occur."""

    kind: Literal["present"]

    def faults(self, node: Node) -> Iterator[str]:
        """Yield every occurrence."""
        yield f"{node.op} in the graph"


class Equation(OperatorRule):
    """An Einsum equation has no ellipsis and no diagonal."""

    kind: Literal["equation"]

    def faults(self, node: Node) -> Iterator[str]:
        """Yield an equation with either."""
        equation = str(node.attributes.get("equation", ""))
        terms = re.split(r"->|,", equation.replace(" ", ""))
        if "." in equation or any(len(set(term)) < len(term) for term in terms):
            yield f"equation {equation!r}"


_DATA_INPUT = {
    "Where": 1,
    "OneHot": 2,
    "If": None,
    "Loop": None,
    "Scan": None,
    "Constant": None,
    "ConstantOfShape": None,
}


def _data(node: Node) -> Value | None:
    """Return the input to which the type tables refer."""
    place: Any = _DATA_INPUT.get(node.op, 0)
    return None if place is None else node.given(place)
