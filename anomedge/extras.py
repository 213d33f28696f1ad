"""Advice on installing an optional dependency (extra) of anomedge, which is not on a package index."""

from __future__ import annotations

__all__ = ["install_advice"]

_HOST_ONLY = frozenset({"anomalib", "demo", "export", "train"})
"""Extras that a device does not need."""


def install_advice(extra: str) -> str:
    """Return how to install an extra, for the end of a message.

    >>> install_advice("export")
    "pip install '.[export]' in the clone of anomedge"
    >>> install_advice("ort")
    "pip install '.[ort]' in the clone of anomedge, or on a device its wheel with this extra (scripts/wheelhouse --extra ort)"
    """
    advice = f"pip install '.[{extra}]' in the clone of anomedge"
    if extra in _HOST_ONLY:
        return advice
    return f"{advice}, or on a device its wheel with this extra (scripts/wheelhouse --extra {extra})"
