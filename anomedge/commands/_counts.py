"""Describe the numbers of files that a command leaves out."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["counts_in_words"]


def counts_in_words(counts: Mapping[str, int]) -> str:
    """Return numbers with their reasons, separated by commas.

    >>> counts_in_words({"anomalous": 30, "masks": 60})
    '30 anomalous, 60 masks'
    """
    return ", ".join(f"{count} {reason}" for reason, count in counts.items())
