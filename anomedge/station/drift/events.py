"""Write the drift of a station as events of its output lines."""

from __future__ import annotations

import math
from typing import Any

from anomedge.bundle import Bundle
from anomedge.images.statistics import image_statistics
from anomedge.inspector import Inspector, Result
from anomedge.station.drift.levels import DEFAULT_WINDOW, Comparison
from anomedge.station.drift.monitor import DriftChange, DriftMonitor
from anomedge.station.drift.reference import reference_of
from anomedge.station.output import EventWriter
from anomedge.station.sources.base import CapturedFrame
from anomedge.threshold import Decision

__all__ = ["DriftWatch", "note_on_reference"]

_DIGITS = 6
_LARGEST = 1e300


class DriftWatch:
    """Observer that writes an event "drift" when a figure's drift begins and when it is over.

    Every `window` frames, an event "distribution" states all figures. With another bundle or another threshold, the
    comparison starts again.

    Args:
        output: receives the events.
        window: number of the latest frames that are compared.
    """

    def __init__(
        self, output: EventWriter, window: int = DEFAULT_WINDOW
    ) -> None:
        self._output, self._window = output, window
        self._compared: tuple[Bundle, Decision] | None = None
        self._frames = 0

    def decided(
        self, frame: CapturedFrame, result: Result, inspector: Inspector
    ) -> None:
        """Add a decided frame."""
        monitor = self._monitor_of(inspector)
        changes = monitor.add(
            result.score,
            result.label == "anomalous",
            image_statistics(frame.pixels),
        )
        for change in changes:
            self._write(change, frame)
        self._frames += 1
        if self._frames % self._window == 0:
            self._output.write(
                "distribution",
                moment=frame.time,
                number=frame.number,
                figures={
                    name: _fields(comparison)
                    for name, comparison in monitor.comparisons().items()
                },
            )

    def _monitor_of(self, inspector: Inspector) -> DriftMonitor:
        """Return the monitor; a new one if the bundle or the settings in force are others than before."""
        bundle, decision = inspector.bundle, inspector.decision
        known = self._compared
        if (
            known is None
            or known[1] != decision
            or not _is_same(known[0], bundle)
        ):
            reference = reference_of(bundle, self._window)
            self._monitor = DriftMonitor(
                reference, decision.scale, self._window
            )
        self._compared = bundle, decision
        return self._monitor

    def _write(self, change: DriftChange, frame: CapturedFrame) -> None:
        self._output.write(
            "drift",
            moment=frame.time,
            number=frame.number,
            name=change.name,
            state="begun" if change.begun else "over",
            **_fields(change.comparison),
            compared_with=change.source,
            message=message_of(change),
        )


def _is_same(one: Bundle, other: Bundle) -> bool:
    """Return whether two bundles have the same content and settings; a station reads the settings again without a change."""
    return one is other or (
        one.manifest.digest == other.manifest.digest
        and one.local == other.local
    )


def note_on_reference(bundle: Bundle, window: int) -> str | None:
    """Return one sentence on figures without a recorded reference; None if all have one."""
    reference = reference_of(bundle, window)
    if not reference.lacking:
        return None
    return (
        f"drift of {reference.lacking} is measured against this station's first {window} normal frames, because the bundle "
        f"has no suitable record of them: calibrate with anomedge threshold --normal, or fit again"
    )


def message_of(change: DriftChange) -> str:
    """Return a drift's beginning or end in words."""
    comparison = change.comparison
    number, of = comparison.frames, change.source
    if change.name == "alarms":
        low, high = comparison.interval or (0.0, 1.0)
        figures = (
            f"{comparison.value:.1%} of the latest {number} frames are anomalous (95 % interval {low:.1%} to {high:.1%}), "
            f"against {comparison.reference:.1%} ({of})"
        )
    else:
        frames = "normal frames" if change.name == "scores" else "frames"
        figures = (
            f"{change.name}: median {comparison.value:.4g} of the latest {number} {frames}, against "
            f"{comparison.reference:.4g} ({of})"
        )
    return figures if change.begun else f"over; {figures}"


def _fields(comparison: Comparison) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "statistic": _rounded(comparison.statistic),
        "limit": _rounded(min(comparison.limit, 1.0)),
        "frames": comparison.frames,
        "value": _rounded(comparison.value),
        "reference": _rounded(comparison.reference),
    }
    if comparison.interval is not None:
        fields["interval"] = [_rounded(each) for each in comparison.interval]
    return fields


def _rounded(value: float) -> float:
    """Round to 6 significant digits; replace an infinite median of huge values, which JSON does not have, by ±1e300."""
    if not math.isfinite(value):
        value = math.copysign(_LARGEST, value)
    return float(f"{value:.{_DIGITS}g}")
