"""What the lint says: one finding, and how it reads."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Finding", "Severity"]

Severity = Literal["error", "warning"]

_LONGEST = 80


@dataclass(frozen=True)
class Finding:
    """One place of a graph that a target does not take, or takes otherwise than it is meant.

    Attributes:
        target: the target's name.
        graph: the file.
        severity: "error", it will not build or nobody promises that it does; "warning", it builds but differs or is slow.
        rule: the rule's name.
        node: the node's name; empty where the whole graph is meant.
        op: its operator.
        output: its first output.
        message: what is wrong.
        source: where the rule is written down, or what was really run.
        rewrite: what to do.
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
        """The node in words; names come out of a file, so what a terminal would obey is escaped."""
        if not self.node:
            return self.graph
        made = f' -> "{_shown(self.output)}"' if self.output else ""
        return f"{_shown(self.node)} ({_shown(self.op)}{made})"

    def line(self) -> str:
        """One line for people."""
        rewrite = f" -> {self.rewrite}" if self.rewrite else ""
        return f"{self.severity:<7}  {self.place}: {_plain(self.message)} ({self.source}){rewrite}"

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
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
