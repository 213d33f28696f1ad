"""Options that need an anomaly map, which some detectors do not give."""

from __future__ import annotations

from anomedge.errors import InputError
from anomedge.threshold import Decision

__all__ = ["WITHOUT_MAP", "require_map"]

WITHOUT_MAP = "this detector gives a score and no anomaly map"


def require_map(decision: Decision, option: str) -> None:
    """Refuse an option that needs an anomaly map.

    Raises:
        InputError: the detector has no map.
    """
    if not decision.has_map:
        raise InputError(
            f"got {option}, but {WITHOUT_MAP}; expected a detector with one: leave out {option}"
        )
