"""Inspection station: frame sources, the inspection loop, reactions to frames, threshold recalibration."""

from anomedge.station.counts import Summary
from anomedge.station.loop import READER_THREAD, Station, StationOptions
from anomedge.station.output import EventWriter
from anomedge.station.queue import EventQueue
from anomedge.station.sources import (
    CapturedFrame,
    ConnectionChange,
    FramePolicy,
    Order,
    Source,
    SourceEvent,
    SourceNotice,
    SourceOptions,
    UnusableFrame,
    open_source,
)

__all__ = [
    "READER_THREAD",
    "CapturedFrame",
    "ConnectionChange",
    "EventQueue",
    "EventWriter",
    "FramePolicy",
    "Order",
    "Source",
    "SourceEvent",
    "SourceNotice",
    "SourceOptions",
    "Station",
    "StationOptions",
    "Summary",
    "UnusableFrame",
    "open_source",
]
