"""Base classes of rules: severity, reason, source and advice."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from anomedge.lint.finding import Severity
from anomedge.lint.graph import Graph, Node

__all__ = ["Count", "GraphRule", "OperatorRule", "Places", "Rule", "Text"]

Places = Iterator[tuple[Node | None, str]]
Text = Annotated[str, Field(min_length=1, max_length=1000)]
Count = Annotated[int, Field(ge=0)]


class Rule(BaseModel, abc.ABC):
    """A rule of a target.

    Attributes:
        severity: severity of its findings.
        why: requirement of the target.
        source: document that states it.
        rewrite: advice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    severity: Severity
    why: Text
    source: Text
    rewrite: Text

    @abc.abstractmethod
    def places(self, graph: Graph, operators: Mapping[str, str]) -> Places:
        """Yield the violations: a node, or None for the whole graph, and a description.

        Args:
            graph: the graph.
            operators: the target's table of operators.
        """


class GraphRule(Rule):
    """A rule that needs the graph only, not the table of operators."""

    def places(self, graph: Graph, operators: Mapping[str, str]) -> Places:
        """Yield the violations; the table of operators is ignored."""
        del operators
        return self.find(graph)

    @abc.abstractmethod
    def find(self, graph: Graph) -> Places:
        """Yield the violations, as `places` does."""


class OperatorRule(GraphRule):
    """A rule for nodes of some operators; "*" means all."""

    operators: tuple[str, ...]

    def find(self, graph: Graph) -> Places:
        """Yield the faults of each node of these operators."""
        for node in graph.nodes:
            if node.standard and (
                node.op in self.operators or "*" in self.operators
            ):
                for found in self.faults(node):
                    yield node, found

    @abc.abstractmethod
    def faults(self, node: Node) -> Iterator[str]:
        """Yield a description of each fault of one node."""
