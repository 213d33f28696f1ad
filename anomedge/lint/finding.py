"""A finding of the lint, and its text."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Finding", "Severity"]

Severity = Literal["error", "warning"]

_LONGEST = 80


@dataclass(frozen=True)
class Finding:
    """A place of a graph that a target refuses, or executes differently than intended.

    Attributes:
        target: the target's name.
        graph: the file.
        severity: "error", the graph does not build, or no document promises that it does; "warning", it builds but differs or is slow.
        rule: the rule's name.
        node: the node's name; empty for the whole graph.
        op: its operator.
        output: its first output.
        message: description of the fault.
        source: document that states the rule, or the vendor parser that ran.
        rewrite: advice.
    """

    target: str
    graph: str
    severity: Severity
    rule: str
    node: str
    op: str
    output: str
    message: str
    source: str
    rewrite: str

    @property
    def place(self) -> str:
        """Name, operator and output of the node, escaped for a terminal because names come from a file."""
        if not self.node:
            return self.graph
        made = f' -> "{_shown(self.output)}"' if self.output else ""
        return f"{_shown(self.node)} ({_shown(self.op)}{made})"

    def line(self) -> str:
        """Return the finding as one line of text."""
        rewrite = f" -> {self.rewrite}" if self.rewrite else ""
        return f"{self.severity:<7}  {self.place}: {_plain(self.message)} ({self.source}){rewrite}"

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON content."""
        return asdict(self)


def _shown(name: str) -> str:
    text = _plain(name)
    return (
        text
        if len(text) <= _LONGEST
        else f"{text[: _LONGEST // 2]}...{text[-_LONGEST // 2 :]}"
    )


def _plain(text: str) -> str:
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode()
        for c in text
    )
