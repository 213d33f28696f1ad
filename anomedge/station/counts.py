"""Counts of a run's frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Counts", "Summary"]


class Summary(NamedTuple):
    """Counts of a run, as in the lines "heartbeat" and "stopped".

    Attributes:
        frames: frames that were decided.
        anomalous: those of them that are anomalous.
        undecided: frames that were not decided: unreadable, of another size, or a failure of the runtime.
        errors: error lines, those of undecided frames included.
        dropped: frames of a camera that were dropped before they were inspected.
        missed: pictures of a folder that were gone, or changed again, before they were read.
        ignored: entries of a folder that are no pictures.
        unwritten: output lines that a full disk did not take.
    """

    frames: int
    anomalous: int
    undecided: int
    errors: int
    dropped: int
    missed: int = 0
    ignored: int = 0
    unwritten: int = 0


@dataclass
class Counts:
    """Running counts of decided and undecided frames.

    Attributes:
        decided: number of decided frames.
        anomalous: number of anomalous frames.
        undecided: number of undecided frames.
        undecided_in_a_row: number of undecided frames since the last decided one.
    """

    decided: int = 0
    anomalous: int = 0
    undecided: int = 0
    undecided_in_a_row: int = 0

    @property
    def handled(self) -> int:
        """Number of decided and undecided frames."""
        return self.decided + self.undecided

    def add_decided(self, *, anomalous: bool) -> None:
        """Count a decided frame."""
        self.decided += 1
        self.anomalous += anomalous
        self.undecided_in_a_row = 0

    def add_undecided(self) -> None:
        """Count an undecided frame."""
        self.undecided += 1
        self.undecided_in_a_row += 1

    def summary(self, *, errors: int, dropped: int) -> Summary:
        """Return the counts together with those of error lines and dropped frames."""
        return Summary(
            self.decided, self.anomalous, self.undecided, errors, dropped
        )
