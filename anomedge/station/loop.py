"""The inspection loop: read frames from a source, inspect them in order, write one JSON line per event.

A thread reads the source into a bounded queue; the caller's thread inspects one frame at a time. If the loop is slower
than the source, a folder or video waits and loses no frame, and a live camera drops its oldest frames, which are
counted. A frame that cannot be inspected is undecided: it has an error line and commands of its own. A fault that
prevents all inspection ends the loop with an exception.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from anomedge.errors import (
    GaveUp,
    InputError,
    OutputError,
    RuntimeFailure,
    SourceLost,
    StateLost,
)
from anomedge.images import Frame, stretch
from anomedge.images.checks import wrong_size
from anomedge.images.overlay import overlay
from anomedge.inspector import Inspector, Result
from anomedge.resample.outside_resize import stated_size
from anomedge.station.counts import Counts, Summary
from anomedge.station.exchange import Follower, PinnedBundle, write_applied
from anomedge.station.heartbeat import Heartbeat
from anomedge.station.journal import Journal
from anomedge.station.observers import FrameObserver
from anomedge.station.output import EventWriter
from anomedge.station.picture_keeper import PictureKeeper
from anomedge.station.queue import READER_THREAD, EventQueue
from anomedge.station.reactions import Reactions
from anomedge.station.service_manager import ServiceManager
from anomedge.station.signals import Signals
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
        inspector: opened inspector; the caller closes it. A follower may replace it.
        source: read in a thread of its own.
        output: receives the JSON lines.
        options: options of the loop.
        reactions: commands for frames; the loop closes them at its end.
        keeper: writer of overlays of anomalous frames; only for a detector with a map.
        follower: chooses the inspector of each frame when the bundle's files change; by default they have no effect. The
            loop closes it at its end.
        service: service manager that learns of start, life and end. Only the loop tells of life, so that a hanging
            inference is noticed.
        observers: receive every decided frame.
        journal: state of the station; the loop closes it at its end.
    """

    def __init__(
        self,
        inspector: Inspector,
        source: Source,
        output: EventWriter,
        options: StationOptions | None = None,
        reactions: Reactions | None = None,
        keeper: PictureKeeper | None = None,
        follower: Follower | None = None,
        service: ServiceManager | None = None,
        observers: Sequence[FrameObserver] = (),
        journal: Journal | None = None,
    ) -> None:
        self.inspector, self.source, self.output = inspector, source, output
        self.options = options or StationOptions()
        self.reactions, self.keeper = reactions, keeper
        self.follower = follower or PinnedBundle(output)
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
        self._observers = tuple(observers)
        self.service = service or ServiceManager({})
        self._heartbeat = Heartbeat(
            self.options.heartbeat, self._write_heartbeat
        )
        self._journal = journal
        self._signals = Signals(
            output, reactions, journal, source.folder, self._show_life
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
            StateLost: the state cannot be written.
        """
        self._write_started()
        self.service.ready()
        self._reader.start()
        try:
            self._note_exchange()
            self._signals.resume()
            self._loop()
        except StateLost as error:
            self.output.error(self.source.title, str(error))
            raise
        finally:
            summary = self._end()
        if self.output.failure is not None:
            raise self.output.failure
        if self._journal is not None:
            self._journal.check()
        return summary

    def _end(self) -> Summary:
        """Finish the commands, close everything and write the last line."""
        self.service.stopping()
        self._stop_reader.set()
        self._queue.close()
        self._reader.join(_READER_TIMEOUT)
        if self.reactions is not None:
            self.reactions.close()
        if self._journal is not None:
            self._journal.close()
        self.follower.close()
        summary = self._summary()
        self.output.write("stopped", **summary._asdict())
        return summary

    def _loop(self) -> None:
        while not self._is_over():
            self._show_life()
            self._follow_bundle()
            if self._journal is not None:
                self._journal.check()
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

    def _follow_bundle(self) -> None:
        """Use the inspector of a changed bundle or threshold, and let the state know another bundle."""
        before = self.inspector.bundle.manifest.digest
        self.inspector = self.follower.follow(self.inspector)
        digest = self.inspector.bundle.manifest.digest
        if self._journal is not None and digest != before:
            self._journal.set_bundle(digest)

    def _note_exchange(self) -> None:
        """Say that the bundle was exchanged since the last run of this state, and store the new one."""
        journal, digest = self._journal, self.inspector.bundle.manifest.digest
        if journal is None or journal.last_bundle == digest:
            return
        write_applied(self.output, self.inspector, journal.last_bundle)
        journal.set_bundle(digest)

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
        threshold = self.inspector.decision.threshold
        self._signals.decided(frame, result, threshold, dropped)
        if result.label == "anomalous":
            self._save_overlay(frame, result)
        for observer in self._observers:
            observer.decided(frame, result, self.inspector)

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
        """Signal a frame that was not inspected."""
        self._counts.add_undecided()
        self._signals.undecided(frame, reason, dropped)

    def _give_up_if_blind(self, reason: str) -> None:
        """Raise if too many consecutive frames are undecided."""
        in_a_row = self._counts.undecided_in_a_row
        if in_a_row >= self.options.give_up:
            raise GaveUp(
                f"{in_a_row} frames in a row could not be inspected; the last: {reason}"
            )

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
            local=str(bundle.local_path) if bundle.local else None,
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
            missed=self.source.missed,
            ignored=self.source.ignored,
            unwritten=self.output.unwritten,
        )
