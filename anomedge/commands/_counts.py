"""Describe the numbers of files that a command leaves out."""

from __future__ import annotations

from collections.abc import Mapping

from anomedge.names import printable

__all__ = ["counts_in_words", "unlabelled_in_words"]

_SHOWN = 8


def counts_in_words(counts: Mapping[str, int]) -> str:
    """Return numbers with their reasons, separated by commas.

    >>> counts_in_words({"anomalous": 30, "masks": 60})
    '30 anomalous, 60 masks'
    """
    return ", ".join(f"{count} {reason}" for reason, count in counts.items())


def unlabelled_in_words(counts: Mapping[str, int]) -> str:
    """Say that no picture has a label, with numbers by folder; empty without numbers.

    >>> unlabelled_in_words({"gut": 6, "schlecht": 3})
    'unlabelled: all count as normal: gut 6, schlecht 3'
    """
    if not counts:
        return ""
    shown = [f"{printable(name)} {count}" for name, count in counts.items()]
    if len(shown) > _SHOWN:
        shown[_SHOWN:] = [f"{len(shown) - _SHOWN} other folders"]
    return f"unlabelled: all count as normal: {', '.join(shown)}"
