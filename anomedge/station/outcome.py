"""Outcome of one frame: its label and score, or the reason why it was not decided."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from anomedge.station.sources._listing import Stamp

__all__ = ["Outcome"]


@dataclass(frozen=True)
class Outcome:
    """Outcome of a frame, as input of the commands that react to it.

    Attributes:
        line: its JSON line.
        name: value of {name}.
        label: value of {label}: "normal", "anomalous" or "undecided".
        score: value of {score}; None for an undecided frame.
        reason: value of {reason}: why it is undecided; empty for a decided frame.
        path: value of {path}; None for a frame without a file.
        stamp: version of that file.
        number: number of its event in the station's state; None without a state.
        repeated: commands that may have run for it before.
    """

    line: str
    name: str
    label: str
    score: float | None = None
    reason: str = ""
    path: Path | None = None
    stamp: Stamp | None = None
    number: int | None = None
    repeated: frozenset[str] = frozenset()

    @property
    def values(self) -> dict[str, str]:
        """Value of each placeholder; empty where there is none."""
        return {
            "name": self.name,
            "path": str(self.path or ""),
            "score": "" if self.score is None else repr(self.score),
            "label": self.label,
            "reason": self.reason,
        }
