"""Files and folders in a watched folder that are no pictures: each counted once, each kind told once."""

from __future__ import annotations

from anomedge.station.sources.base import SourceNotice

__all__ = ["Ignored"]

_MOST_KINDS = 20
"""Number of kinds that are told; files of all kinds are counted."""


class Ignored:
    """Entries that are no pictures. Memory: one entry per such file in the folder.

    Attributes:
        count: number of entries seen.
    """

    def __init__(self) -> None:
        self.count = 0
        self._names: set[str] = set()
        self._kinds: set[str] = set()

    def note(self, others: dict[str, str]) -> SourceNotice | None:
        """Note the entries of a listing, kinds by name; return a notice if there are kinds that were not told."""
        new = [name for name in others if name not in self._names]
        self._names = set(others)
        self.count += len(new)
        untold = sorted({others[name] for name in new} - self._kinds)
        kinds = untold[: _MOST_KINDS - len(self._kinds)]
        if not kinds:
            return None
        self._kinds.update(kinds)
        told = sorted(name for name in new if others[name] in kinds)
        return SourceNotice(
            "ignored",
            told[0],
            f"got {len(told)} entries that are no pictures ({', '.join(kinds)}); further ones of these kinds are only "
            "counted",
            len(told),
        )
