"""Drift of a station: scores, alarms and image statistics of its latest frames against a reference."""

from anomedge.station.drift.events import DriftWatch
from anomedge.station.drift.monitor import DriftChange, DriftMonitor
from anomedge.station.drift.reference import Reference, reference_of

__all__ = [
    "DriftChange",
    "DriftMonitor",
    "DriftWatch",
    "Reference",
    "reference_of",
]
