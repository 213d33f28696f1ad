"""The inspection loop: read frames from a source, inspect them in order, write one JSON line per event.

A thread reads the source into a bounded queue; the caller's thread inspects one frame at a time. If the loop is slower
than the source, a folder or video waits and loses no frame, and a live camera drops its oldest frames, which are
counted. A frame that cannot be inspected is undecided: it has an error line and commands of its own. A fault that
prevents all inspection ends the loop with an exception.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anomedge.errors import (
    GaveUp,
    InputError,
    OutputError,
    RuntimeFailure,
    SourceLost,
)
from anomedge.images import Frame, stretch
from anomedge.images.checks import wrong_size
from anomedge.images.overlay import overlay
from anomedge.inspector import Inspector, Result
from anomedge.resample.outside_resize import stated_size
from anomedge.station.counts import Counts, Summary
from anomedge.station.heartbeat import Heartbeat
from anomedge.station.outcome import Outcome
from anomedge.station.output import EventWriter
from anomedge.station.picture_keeper import PictureKeeper
from anomedge.station.queue import READER_THREAD, EventQueue
from anomedge.station.reactions import Reactions
from anomedge.station.service_manager import ServiceManager
from anomedge.station.sources.base import (
    CapturedFrame,
    ConnectionChange,
    Source,
    SourceEvent,
    SourceNotice,
    UnusableFrame,
)

__all__ = ["READER_THREAD", "Station", "StationOptions"]

_POLL_INTERVAL = 0.1
"""Poll interval of the stop flag, in seconds."""
_READER_TIMEOUT = 0.5
"""Time for the reading thread to end, in seconds; a camera driver may block it."""


@dataclass(frozen=True)
class StationOptions:
    """Options of the loop.

    Args:
        queue: largest number of waiting frames, at least 1.
        limit: number of frames after which the loop ends, undecided frames included; None for no limit.
        give_up: number of consecutive undecided frames after which the loop ends with an error.
        stretch: stretch frames whose size differs from the bundle's, instead of refusing them.
        heartbeat: interval of the lines "heartbeat", in seconds; None for no such lines.
    """

    queue: int = 8
    limit: int | None = None
    give_up: int = 10
    stretch: bool = False
    heartbeat: float | None = None


class Station:
    """The inspection loop.

    Args:
        inspector: opened inspector; the caller closes it.
        source: read in a thread of its own.
        output: receives the JSON lines.
        options: options of the loop.
        reactions: commands for frames; the loop closes them at its end.
        keeper: writer of overlays of anomalous frames; only for a detector with a map.
        warn: called with the message if the bundle's files changed, in addition to the output line.
        service: service manager that learns of start, life and end. Only the loop tells of life, so that a hanging
            inference is noticed.
    """

    def __init__(
        self,
        inspector: Inspector,
        source: Source,
        output: EventWriter,
        options: StationOptions | None = None,
        reactions: Reactions | None = None,
        keeper: PictureKeeper | None = None,
        warn: Callable[[str], None] | None = None,
        service: ServiceManager | None = None,
    ) -> None:
        self.inspector, self.source, self.output = inspector, source, output
        self.options = options or StationOptions()
        self.reactions, self.keeper, self.warn = reactions, keeper, warn
        self._queue = EventQueue(self.options.queue, live=source.live)
        # Only the loop sets the event. A signal handler runs in the loop's own thread, possibly while that thread holds
        # the event's lock, so a handler may only set a flag.
        self._stop_reader = threading.Event()
        self._stop_requested = False
        self._reader = threading.Thread(
            target=self._read, name=READER_THREAD, daemon=True
        )
        self._reader_error: BaseException | None = None
        self._counts = Counts()
        self.service = service or ServiceManager({})
        self._heartbeat = Heartbeat(
            self.options.heartbeat, self._write_heartbeat
        )

    def stop(self) -> None:
        """End the loop after the current frame; safe in a signal handler and in any thread."""
        self._stop_requested = True

    def run(self) -> Summary:
        """Run until the source ends, the limit is reached or `stop` is called.

        Frames that wait in the queue at the end are not inspected. The last line is always "stopped".

        Raises:
            InputError: the source cannot be used: no frame in a video.
            SourceLost: the source fails for good: no camera after all retries.
            GaveUp: too many consecutive frames are undecided.
            OutputLost: the lines cannot be written, or their reader closed the output.
        """
        self._write_started()
        self.service.ready()
        self._reader.start()
        try:
            self._loop()
        finally:
            self.service.stopping()
            self._stop_reader.set()
            self._queue.close()
            self._reader.join(_READER_TIMEOUT)
            if self.reactions is not None:
                self.reactions.close()
            summary = self._summary()
            self.output.write("stopped", **summary._asdict())
        if self.output.failure is not None:
            raise self.output.failure
        return summary

    def _loop(self) -> None:
        while not self._is_over():
            self._show_life()
            self._report_changed_bundle()
            event, dropped = self._queue.get(_POLL_INTERVAL)
            self.output.check_reader()
            if event is not None:
                self._handle(event, dropped)
            elif self._queue.ended:
                self._raise_reader_error()
                return

    def _is_over(self) -> bool:
        if self._stop_requested or self.output.closed:
            return True
        limit = self.options.limit
        return limit is not None and self._counts.handled >= limit

    def _show_life(self) -> None:
        """Show that this thread works, to the reader of the lines and to the service manager."""
        self._heartbeat.beat()
        self.service.alive()

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

    def _raise_reader_error(self) -> None:
        error = self._reader_error
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise SourceLost(
                f"{self.source.title} cannot be read any more ({reason}); check it, and start again"
            ) from error
        if error is not None:
            raise error

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
            self._leave_undecided(event, dropped, event.message)
            self._give_up_if_blind(event.message)
        else:
            self._inspect(event, dropped)

    def _inspect(self, frame: CapturedFrame, dropped: int) -> None:
        try:
            frame = self._in_bundle_size(frame)
            (result,) = self.inspector.predict_batch([frame.pixels])
        except (InputError, RuntimeFailure) as error:
            self._leave_undecided(frame, dropped, str(error))
            self._give_up_if_blind(str(error))
            return
        except Exception as error:
            # The loop ends, but this frame must not look like a good one.
            message = f"{type(error).__name__}: {error}"
            self._leave_undecided(frame, dropped, message)
            raise
        self._counts.add_decided(anomalous=result.label == "anomalous")
        line = self._write_frame(frame, result, dropped)
        self._react(
            Outcome(
                line,
                frame.name,
                result.label,
                score=result.score,
                path=frame.path,
            )
        )
        if result.label == "anomalous":
            self._save_overlay(frame, result)

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

    def _leave_undecided(
        self, frame: CapturedFrame | UnusableFrame, dropped: int, reason: str
    ) -> None:
        """Write an error line for a frame that was not inspected, and run its commands."""
        self._counts.add_undecided()
        line = self._write_undecided(frame, dropped, reason)
        self._react(
            Outcome(
                line,
                frame.name,
                "undecided",
                reason=reason,
                path=self._path_of(frame),
            )
        )

    def _give_up_if_blind(self, reason: str) -> None:
        """Raise if too many consecutive frames are undecided."""
        in_a_row = self._counts.undecided_in_a_row
        if in_a_row >= self.options.give_up:
            raise GaveUp(
                f"{in_a_row} frames in a row could not be inspected; the last: {reason}"
            )

    def _path_of(self, frame: CapturedFrame | UnusableFrame) -> Path | None:
        """Return the path of the frame's file; None for a frame without a file."""
        if isinstance(frame, CapturedFrame):
            return frame.path
        folder = self.source.folder
        return None if folder is None else folder / frame.name

    def _react(self, outcome: Outcome) -> None:
        if self.reactions is not None:
            self.reactions.react(outcome, self._show_life)

    def _save_overlay(self, frame: CapturedFrame, result: Result) -> None:
        if self.keeper is None or result.anomaly_map is None:
            return
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

    def _write_undecided(
        self, frame: CapturedFrame | UnusableFrame, dropped: int, reason: str
    ) -> str:
        return self.output.write(
            "error",
            moment=frame.time,
            number=frame.number,
            name=frame.name,
            label="undecided",
            message=reason,
            dropped=dropped,
        )

    def _write_heartbeat(self) -> None:
        pending = 0 if self.reactions is None else self.reactions.pending
        self.output.write(
            "heartbeat", **self._summary()._asdict(), pending=pending
        )

    def _summary(self) -> Summary:
        summary = self._counts.summary(
            errors=self.output.errors, dropped=self._queue.dropped
        )
        return summary._replace(
            missed=self.source.missed, ignored=self.source.ignored
        )
