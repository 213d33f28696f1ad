"""The inspection loop: read frames from a source, inspect them in order, write one JSON line per event.

A thread reads the source into a bounded queue; the caller's thread inspects one frame at a time. If the loop is slower
than the source, a folder or video waits and loses no frame, and a live camera drops its oldest frames, which are
counted. A fault of one frame is an error line; a fault that prevents all inspection ends the loop with an exception.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from anomedge.errors import (
    AnomedgeError,
    InputError,
    OutputError,
    RuntimeFailure,
)
from anomedge.images import Frame, stretch
from anomedge.images.checks import wrong_size
from anomedge.images.overlay import overlay
from anomedge.inspector import Inspector, Result
from anomedge.resample.outside_resize import stated_size
from anomedge.station.output import EventWriter
from anomedge.station.queue import EventQueue
from anomedge.station.reactions import Job, OnFail, PictureKeeper
from anomedge.station.sources.base import (
    CapturedFrame,
    ConnectionChange,
    Source,
    SourceEvent,
    SourceNotice,
    UnusableFrame,
)

__all__ = ["READER_THREAD", "Station", "StationOptions", "Summary"]

READER_THREAD = "anomedge reader"
"""Name of the thread that reads the source. A camera driver may block it beyond the end of the loop."""
_POLL_INTERVAL = 0.1
"""Poll interval of the stop flag, in seconds."""
_READER_TIMEOUT = 0.5
"""Time for the reading thread to end, in seconds; a camera driver may block it."""


@dataclass(frozen=True)
class StationOptions:
    """Options of the loop.

    Args:
        queue: largest number of waiting frames, at least 1.
        limit: number of frames after which the loop ends, unusable frames included; None for no limit.
        give_up: number of consecutive frames that fail inspection after which the loop ends with an error.
        stretch: stretch frames whose size differs from the bundle's, instead of refusing them.
    """

    queue: int = 8
    limit: int | None = None
    give_up: int = 10
    stretch: bool = False


class Summary(NamedTuple):
    """Counts of a run: frames inspected, anomalous frames, unusable frames, error lines, dropped frames."""

    frames: int
    anomalous: int
    unusable: int
    errors: int
    dropped: int


class Station:
    """The inspection loop.

    Args:
        inspector: opened inspector; the caller closes it.
        source: read in a thread of its own.
        output: receives the JSON lines.
        options: options of the loop.
        on_fail: command for anomalous frames; the loop closes it at its end.
        keeper: writer of overlays of anomalous frames; only for a detector with a map.
        warn: called with the message if the bundle's files changed, in addition to the output line.
    """

    def __init__(
        self,
        inspector: Inspector,
        source: Source,
        output: EventWriter,
        options: StationOptions | None = None,
        on_fail: OnFail | None = None,
        keeper: PictureKeeper | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.inspector, self.source, self.output = inspector, source, output
        self.options = options or StationOptions()
        self.on_fail, self.keeper, self.warn = on_fail, keeper, warn
        self._queue = EventQueue(self.options.queue, live=source.live)
        # Only the loop sets the event. A signal handler runs in the loop's own thread, possibly while that thread holds
        # the event's lock, so a handler may only set a flag.
        self._stop_reader = threading.Event()
        self._stop_requested = False
        self._reader = threading.Thread(
            target=self._read, name=READER_THREAD, daemon=True
        )
        self._reader_error: BaseException | None = None
        self._frames = self._anomalous = self._unusable = 0
        self._consecutive_failures = 0

    def stop(self) -> None:
        """End the loop after the current frame; safe in a signal handler and in any thread."""
        self._stop_requested = True

    def run(self) -> Summary:
        """Run until the source ends, the limit is reached, `stop` is called or the output's reader closes it.

        Frames that wait in the queue at the end are not inspected. The last line is always "stopped".

        Raises:
            InputError: the source fails for good: no frame in a video, no camera after all retries.
            RuntimeFailure: too many consecutive frames failed inspection.
            OutputError: the lines cannot be written.
        """
        self._write_started()
        self._reader.start()
        try:
            self._loop()
        finally:
            self._stop_reader.set()
            self._queue.close()
            self._reader.join(_READER_TIMEOUT)
            if self.on_fail is not None:
                self.on_fail.close()
            summary = self._summary()
            self._write_stopped(summary)
        if self.output.failure is not None:
            raise self.output.failure
        return summary

    def _loop(self) -> None:
        while not self._is_over():
            self._report_changed_bundle()
            event, dropped = self._queue.get(_POLL_INTERVAL)
            if event is not None:
                self._handle(event, dropped)
            elif self._queue.ended:
                if self._reader_error is not None:
                    raise self._reader_error
                return

    def _is_over(self) -> bool:
        if self._stop_requested or self.output.closed:
            return True
        handled = self._frames + self._unusable
        return self.options.limit is not None and handled >= self.options.limit

    def _report_changed_bundle(self) -> None:
        message = self.inspector.changed()
        if message is not None:
            path = str(self.inspector.bundle.path)
            self.output.write("changed", name=path, message=message)
            if self.warn is not None:
                self.warn(message)

    def _read(self) -> None:
        """Move events from the source to the queue; body of the reading thread."""
        try:
            with closing(self.source.events(self._stop_reader)) as events:
                for event in events:
                    if not self._queue.put(event):
                        return
        except BaseException as error:  # noqa: BLE001 - the loop raises it
            self._reader_error = error
        finally:
            self._queue.finish()

    def _handle(self, event: SourceEvent, dropped: int) -> None:
        if isinstance(event, ConnectionChange):
            self.output.write(
                event.event,
                moment=event.time,
                name=event.name,
                message=event.message,
                seconds=round(event.seconds, 3),
            )
        elif isinstance(event, SourceNotice):
            self.output.write(
                event.event,
                moment=event.time,
                name=event.name,
                message=event.message,
                count=event.count,
            )
        elif isinstance(event, UnusableFrame):
            self._unusable += 1
            self.output.error(event.name, event.message, event.time)
        else:
            self._inspect(event, dropped)

    def _inspect(self, frame: CapturedFrame, dropped: int) -> None:
        try:
            frame = self._in_bundle_size(frame)
            (result,) = self.inspector.predict_batch([frame.pixels])
        except (InputError, RuntimeFailure) as error:
            self._handle_failure(frame, error)
            return
        self._frames += 1
        self._consecutive_failures = 0
        line = self._write_frame(frame, result, dropped)
        if result.label == "anomalous":
            self._anomalous += 1
            self._react(frame, result, line)

    def _in_bundle_size(self, frame: CapturedFrame) -> CapturedFrame:
        """Return the frame in the bundle's size, if it has one; stretch it if the options allow."""
        got = frame.pixels.shape[:2]
        expected = stated_size(self.inspector.bundle.manifest.framing)
        if expected is None or got == expected:
            return frame
        if self.options.stretch:
            return replace(frame, pixels=stretch(frame.pixels, expected))
        refusal = wrong_size(frame.name, got, expected)
        raise InputError(f"{refusal}, or --stretch")

    def _handle_failure(
        self, frame: CapturedFrame, error: AnomedgeError
    ) -> None:
        """Write an error line; raise once too many consecutive frames fail.

        A failing runtime or a camera's wrong size persists; single pictures of a folder may be at fault alone.
        """
        self._unusable += 1
        self.output.error(frame.name, str(error), frame.time)
        if isinstance(error, RuntimeFailure) or frame.path is None:
            self._consecutive_failures += 1
        if self._consecutive_failures >= self.options.give_up:
            raise RuntimeFailure(
                f"{self._consecutive_failures} frames in a row could not be inspected; the last: {error}"
            )

    def _react(self, frame: CapturedFrame, result: Result, line: str) -> None:
        if self.on_fail is not None:
            self.on_fail.submit(Job(line, frame.name, result.score, frame.path))
        if self.keeper is not None and result.anomaly_map is not None:
            try:
                self.keeper.save(
                    self._overlay(frame, result.anomaly_map),
                    name=frame.name,
                    number=frame.number,
                    time=frame.time,
                )
            except OutputError as error:
                self.output.error(frame.name, str(error))

    def _overlay(
        self, frame: CapturedFrame, anomaly_map: npt.NDArray[np.float32]
    ) -> Frame:
        return overlay(
            frame.pixels,
            anomaly_map,
            self.inspector.decision,
            self.inspector.bundle.manifest.geometry,
        )

    def _write_started(self) -> None:
        bundle, session = self.inspector.bundle, self.inspector.session
        self.output.write(
            "started",
            source=self.source.title,
            bundle=str(bundle.path),
            digest=bundle.manifest.digest,
            runtime=session.name,
            running_on=session.running_on,
            threshold=self.inspector.decision.threshold,
        )

    def _write_frame(
        self, frame: CapturedFrame, result: Result, dropped: int
    ) -> str:
        found = {}
        if result.mask is not None:
            found["anomalous_pixels"] = float(result.mask.mean())
        return self.output.write(
            "frame",
            moment=frame.time,
            number=frame.number,
            name=frame.name,
            label=result.label,
            score=result.score,
            threshold=self.inspector.decision.threshold,
            **found,
            milliseconds=round(result.milliseconds, 3),
            dropped=dropped,
        )

    def _write_stopped(self, summary: Summary) -> None:
        self.output.write(
            "stopped",
            frames=summary.frames,
            anomalous=summary.anomalous,
            errors=summary.errors,
            dropped=summary.dropped,
            missed=self.source.missed,
            ignored=self.source.ignored,
        )

    def _summary(self) -> Summary:
        return Summary(
            frames=self._frames,
            anomalous=self._anomalous,
            unusable=self._unusable,
            errors=self.output.errors,
            dropped=self._queue.dropped,
        )
