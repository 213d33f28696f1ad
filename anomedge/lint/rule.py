"""What every rule has: how much it weighs, what the target wants, where that is written, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from anomedge.lint.finding import Severity
from anomedge.lint.graph import Graph, Node

__all__ = ["Count", "OfOperators", "Places", "Rule", "Text"]

Places = Iterator[tuple[Node | None, str]]
Text = Annotated[str, Field(min_length=1, max_length=1000)]
Count = Annotated[int, Field(ge=0)]


class Rule(BaseModel):
    """What every rule says.

    Attributes:
        severity: of a finding.
        why: what the target wants.
        source: where that is written down.
        rewrite: what to do.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    severity: Severity
    why: Text
    source: Text
    rewrite: Text

    def places(self, graph: Graph, operators: Mapping[str, str]) -> Places:
        """The places that break the rule; `operators` is the target's table, which most rules do without."""
        del operators
        return self.find(graph)

    def find(self, graph: Graph) -> Places:
        """The places that break a rule that does without the table."""
        raise NotImplementedError


class OfOperators(Rule):
    """A rule for nodes of some operators; "*" are all."""

    operators: tuple[str, ...]

    def find(self, graph: Graph) -> Places:
        """Ask each node of these operators."""
        for node in graph.nodes:
            if node.standard and (
                node.op in self.operators or "*" in self.operators
            ):
                for found in self.faults(node):
                    yield node, found

    def faults(self, node: Node) -> Iterator[str]:
        """What is wrong with one node."""
        raise NotImplementedError
