"""Departure of a client from one stage of the contract."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["STAGES", "Finding"]

STAGES = (
    "protocol",
    "decoding",
    "size",
    "colour",
    "layout",
    "range",
    "resize",
    "precision",
    "score",
    "map",
    "batch",
    "threshold",
    "local.json",
    "NaN",
    "hashes",
)
"""Stages of the contract, in the order in which they are reported."""


class Finding(NamedTuple):
    """A departure: the stage, and one sentence with the values received and expected."""

    stage: str
    text: str
