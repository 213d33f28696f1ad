"""An inspection station: sources of frames, the loop, reactions to anomalous frames, recalibration of thresholds."""

from anomedge.station.loop import (
    READER,
    Lines,
    Mailbox,
    Station,
    StationOptions,
    Summary,
)

__all__ = [
    "READER",
    "Lines",
    "Mailbox",
    "Station",
    "StationOptions",
    "Summary",
]
