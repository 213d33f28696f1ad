"""Observers of decided frames, which have no influence on labels and signals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from anomedge.bundle import Bundle
from anomedge.errors import InputError
from anomedge.inspector import Inspector, Result
from anomedge.station.collecting import NormalCollector
from anomedge.station.drift.events import DriftWatch, note_on_reference
from anomedge.station.drift.levels import DEFAULT_WINDOW
from anomedge.station.output import EventWriter
from anomedge.station.sources.base import CapturedFrame

__all__ = ["FrameObserver", "ObserverOptions"]


class FrameObserver(Protocol):
    """Receives every decided frame in order, after its line and its reactions."""

    def decided(
        self, frame: CapturedFrame, result: Result, inspector: Inspector
    ) -> None:
        """Take a frame and its result; `inspector` is the one that decided it."""


@dataclass(frozen=True)
class ObserverOptions:
    """Options of the observers.

    Args:
        drift_window: number of the latest frames that are compared with the reference.
        collect: number of normal frames to keep; None keeps none.
        collect_to: folder for them.
        no_drift: follow no drift.
    """

    drift_window: int = DEFAULT_WINDOW
    collect: int | None = None
    collect_to: Path | None = None
    no_drift: bool = False

    def check(self, bundle: Bundle, *others: Path | None) -> None:
        """Refuse options that do not suit each other, the bundle, or the other folders of the station.

        Raises:
            InputError: one of `collect` and `collect_to` alone, a folder with another purpose, or a bundle for pictures
                with more than 8 bits per channel.
        """
        folder = self.collect_to
        if (self.collect is None) != (folder is None):
            raise InputError(
                "got one of --collect and --collect-to; expected both: the number of normal frames, and a folder for them"
            )
        if folder is None:
            return
        if bundle.manifest.levels is not None:
            raise InputError(
                "got --collect for a bundle of pictures with more than 8 bits per channel; expected one of 8 bits, because "
                "collected frames have 8: keep the pictures of the source instead"
            )
        if folder.resolve() in [other.resolve() for other in others if other]:
            raise InputError(
                f"got --collect-to {folder}, a folder with another purpose; expected one of its own"
            )

    def note(self, bundle: Bundle) -> str | None:
        """Return one sentence on a reference that the bundle lacks; None without any."""
        if self.no_drift:
            return None
        return note_on_reference(bundle, self.drift_window)

    def open(self, output: EventWriter) -> list[FrameObserver]:
        """Return the observers that the options ask for."""
        observers: list[FrameObserver] = []
        if not self.no_drift:
            observers.append(DriftWatch(output, self.drift_window))
        if self.collect is not None and self.collect_to is not None:
            observers.append(
                NormalCollector(self.collect_to, self.collect, output.error)
            )
        return observers
