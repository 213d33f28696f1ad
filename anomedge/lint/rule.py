"""Base classes of rules: severity, reason, source and advice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from anomedge.lint.finding import Severity
from anomedge.lint.graph import Graph, Node

__all__ = ["Count", "OperatorRule", "Places", "Rule", "Text"]

Places = Iterator[tuple[Node | None, str]]
Text = Annotated[str, Field(min_length=1, max_length=1000)]
Count = Annotated[int, Field(ge=0)]


class Rule(BaseModel):
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

    def places(self, graph: Graph, operators: Mapping[str, str]) -> Places:
        """Yield the violations: a node, or None for the whole graph, and a description.

        Args:
            graph: the graph.
            operators: the target's table of operators; most rules ignore it.
        """
        del operators
        return self.find(graph)

    def find(self, graph: Graph) -> Places:
        """Yield the violations of a rule that ignores the table of operators."""
        raise NotImplementedError


class OperatorRule(Rule):
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

    def faults(self, node: Node) -> Iterator[str]:
        """Yield a description of each fault of one node."""
        raise NotImplementedError
