"""The loop an inspection station runs: frames in, one JSON line a frame out, for months.

A thread reads the source into a bounded queue; the caller's thread inspects one frame at a time, in order. Where the
loop is slower than the source, a folder or video waits and loses nothing, and a live camera loses its oldest frames,
which are counted. What goes wrong with one frame is a line; what makes a station blind ends the loop with an error.

Every line is an object with "event" and "time" (ISO 8601, UTC):

========  =============================================================================================
started   "source", "bundle", "digest", "runtime", "running_on", "threshold"
frame     "number", "name", "label", "score", "threshold", "anomalous_pixels" (share), "milliseconds" (of
          the runtime) and "dropped": frames lost since the frame before
error     "name", "message"
waiting   "name", "message", "seconds" until the next attempt: the source went away
resumed   "name", "message", "seconds" (0): it is back
changed   "name", "message": the files at the bundle's path changed since the bundle was opened; the verdicts are still
          those of the bundle that was opened
stopped   "frames" inspected, "anomalous", "errors" (lines), "dropped"
========  =============================================================================================
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import NamedTuple, TextIO

from anomedge.errors import (
    AnomedgeError,
    InputError,
    OutputError,
    RuntimeFailure,
)
from anomedge.images import stretch
from anomedge.images.overlay import overlay
from anomedge.inspector import Inspector, Result
from anomedge.station.reactions import Job, OnFail, PictureKeeper
from anomedge.station.sources import Captured, Item, Notice, Source, Trouble

__all__ = ["READER", "Lines", "Mailbox", "Station", "StationOptions", "Summary"]

READER = "anomedge reader"
"""Name of the thread that reads the source. It may be stuck inside a camera's driver when the loop has ended."""
_TICK = 0.1
"""Seconds after which the loop looks whether it shall stop."""
_PATIENCE = 0.5
"""Seconds that the reading thread gets to end; it may hang in a camera's driver."""


@dataclass(frozen=True)
class StationOptions:
    """How the loop runs.

    Args:
        queue: how many frames may wait, at least 1.
        limit: end after so many frames, unusable ones included.
        give_up: end with the error when so many frames in a row could not be inspected.
        stretch: stretch frames of another size than the bundle's, rather than refuse them.
    """

    queue: int = 8
    limit: int | None = None
    give_up: int = 10
    stretch: bool = False


class Summary(NamedTuple):
    """What became of a run: frames inspected, those anomalous, frames that could not be used, error lines, dropped."""

    frames: int
    anomalous: int
    unusable: int
    errors: int
    dropped: int


class Lines:
    """Writes JSON lines, each flushed, from any thread.

    Attributes:
        closed: nobody reads any more, or nothing can be written.
        failure: why nothing can be written, where that is an error.
        errors: how many error lines there were.
    """

    def __init__(self, stream: TextIO) -> None:
        self.closed = False
        self.failure: OutputError | None = None
        self.errors = 0
        self._stream = stream
        self._lock = threading.Lock()

    def write(
        self, event: str, *, moment: float | None = None, **fields: object
    ) -> str:
        """Write a line and return it, without its end; once closed, it is only returned."""
        when = datetime.fromtimestamp(
            time.time() if moment is None else moment, timezone.utc
        )
        content = {
            "event": event,
            "time": when.isoformat(timespec="milliseconds"),
            **fields,
        }
        line = json.dumps(
            content, allow_nan=False
        )  # escaped to ASCII: names may be no valid Unicode
        with self._lock:
            self.errors += event == "error"
            if not self.closed:
                self._send(line)
        return line

    def error(
        self, name: str, message: str, moment: float | None = None
    ) -> None:
        """Write an error line."""
        self.write("error", moment=moment, name=name, message=message)

    def _send(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except ConnectionError:  # the reader went away: no error, the end
            self.closed = True
        except OSError as error:
            self.closed = True
            self.failure = OutputError(
                f"cannot write the lines ({error.strerror or error}); give them a place to go"
            )


class Mailbox:
    """A bounded queue between the reading thread and the loop; a live one drops its oldest frame rather than block.

    Notices and troubles are never dropped.
    """

    def __init__(self, size: int, *, live: bool) -> None:
        self.dropped = 0
        self._size = size
        self._live = live
        self._items: deque[Item] = deque()
        self._unreported = 0
        self._finished = self._closed = False
        self._changed = threading.Condition()

    def put(self, item: Item) -> bool:
        """Add an item when there is room; False when nobody wants it any more."""
        with self._changed:
            while (
                len(self._items) >= self._size
                and not self._closed
                and not self._drop_oldest()
            ):
                self._changed.wait()
            if not self._closed:
                self._items.append(item)
                self._changed.notify_all()
            return not self._closed

    def get(self, timeout: float) -> tuple[Item | None, int]:
        """The next item, and how many frames were dropped since the last one that was a frame; None when none came."""
        with self._changed:
            if not self._items and not self._finished:
                self._changed.wait(timeout)
            if not self._items:
                return None, 0
            item, dropped = self._items.popleft(), 0
            if isinstance(item, Captured):
                dropped, self._unreported = self._unreported, 0
            self._changed.notify_all()
            return item, dropped

    @property
    def ended(self) -> bool:
        """Whether everything was put in and taken out."""
        with self._changed:
            return self._finished and not self._items

    def finish(self) -> None:
        """Nothing more will be put in."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing more will be taken out: free a reader that waits for room."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _drop_oldest(self) -> bool:
        frames = (
            place
            for place, item in enumerate(self._items)
            if isinstance(item, Captured)
        )
        if not self._live or (oldest := next(frames, None)) is None:
            return False
        del self._items[oldest]
        self.dropped += 1
        self._unreported += 1
        return True


class Station:
    """The loop.

    Args:
        inspector: opened; closing it stays with the caller.
        source: read in a thread of its own.
        lines: where the lines go.
        options: how it runs.
        on_fail: what is run for anomalous frames; closed at the end.
        keeper: where overlays of anomalous frames go.
        tell: called with the message when the bundle's files have changed, in addition to the output line.
    """

    def __init__(
        self,
        inspector: Inspector,
        source: Source,
        lines: Lines,
        options: StationOptions | None = None,
        on_fail: OnFail | None = None,
        keeper: PictureKeeper | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.inspector, self.source, self.lines = inspector, source, lines
        self.options = options or StationOptions()
        self.on_fail, self.keeper, self.tell = on_fail, keeper, tell
        self._mailbox = Mailbox(self.options.queue, live=source.live)
        # The loop alone sets the event. A signal's handler runs within the loop's own thread, maybe while that thread
        # holds the event's lock, so it may only set a flag.
        self._ask_reader = threading.Event()
        self._asked = False
        self._reader = threading.Thread(
            target=self._read, name=READER, daemon=True
        )
        self._reader_error: BaseException | None = None
        self._frames = self._anomalous = self._unusable = self._in_a_row = 0

    def stop(self) -> None:
        """End the loop after the frame in hand; safe in a signal's handler and in any thread."""
        self._asked = True

    def run(self) -> Summary:
        """Run until the source ends, the limit is reached, `stop` is called or nobody reads the lines.

        Frames that still wait in the queue then are not inspected. The last line is "stopped", whatever ended it.

        Raises:
            InputError: the source is of no use at all: no video, a camera that stayed away through its retries.
            RuntimeFailure: too many frames in a row could not be inspected.
            OutputError: the lines cannot be written.
        """
        self._announce()
        self._reader.start()
        try:
            self._loop()
        finally:
            self._ask_reader.set()
            self._mailbox.close()
            self._reader.join(_PATIENCE)
            if self.on_fail is not None:
                self.on_fail.close()
            summary = self._summary()
            counts = summary._asdict()
            del counts["unusable"]
            self.lines.write("stopped", **counts)
        if self.lines.failure is not None:
            raise self.lines.failure
        return summary

    def _loop(self) -> None:
        while not (self._asked or self.lines.closed or self._reached_limit()):
            self._notice_changes()
            item, dropped = self._mailbox.get(_TICK)
            if item is not None:
                self._handle(item, dropped)
            elif self._mailbox.ended:
                if self._reader_error is not None:
                    raise self._reader_error
                return

    def _notice_changes(self) -> None:
        said = self.inspector.changed()
        if said is not None:
            self.lines.write(
                "changed", name=str(self.inspector.bundle.path), message=said
            )
            if self.tell is not None:
                self.tell(said)

    def _read(self) -> None:
        try:
            with closing(self.source.items(self._ask_reader)) as items:
                for item in items:
                    if not self._mailbox.put(item):
                        return
        except BaseException as error:  # noqa: BLE001 - the loop raises it
            self._reader_error = error
        finally:
            self._mailbox.finish()

    def _handle(self, item: Item, dropped: int) -> None:
        if isinstance(item, Notice):
            self.lines.write(
                item.event,
                moment=item.time,
                name=item.name,
                message=item.message,
                seconds=round(item.seconds, 3),
            )
        elif isinstance(item, Trouble):
            self._unusable += 1
            self.lines.error(item.name, item.message, item.time)
        else:
            self._inspect(item, dropped)

    def _inspect(self, frame: Captured, dropped: int) -> None:
        try:
            frame = self._fitted(frame)
            (result,) = self.inspector.predict_batch([frame.pixels])
        except (InputError, RuntimeFailure) as error:
            self._failed(frame, error)
            return
        self._frames += 1
        self._in_a_row = 0
        line = self._write(frame, result, dropped)
        if result.label == "anomalous":
            self._anomalous += 1
            self._react(frame, result, line)

    def _fitted(self, frame: Captured) -> Captured:
        """The frame in the bundle's size."""
        got, expected = (
            frame.pixels.shape[:2],
            self.inspector.bundle.manifest.input.frame,
        )
        if got == expected:
            return frame
        if self.options.stretch:
            return Captured(
                frame.number,
                frame.name,
                stretch(frame.pixels, expected),
                frame.path,
                frame.time,
            )
        sizes = ["x".join(map(str, size)) for size in (got, expected)]
        raise InputError(
            f"{frame.name}: got {sizes[0]}; expected {sizes[1]}, the bundle's frame: export with --frame {sizes[0]}, "
            "or --stretch"
        )

    def _failed(self, frame: Captured, error: AnomedgeError) -> None:
        """One frame is a line. A camera's wrong size will not mend itself, no more than a broken runtime."""
        self._unusable += 1
        self.lines.error(frame.name, str(error), frame.time)
        if isinstance(error, RuntimeFailure) or frame.path is None:
            self._in_a_row += 1
        if self._in_a_row >= self.options.give_up:
            raise RuntimeFailure(
                f"{self._in_a_row} frames in a row could not be inspected; the last: {error}"
            )

    def _write(self, frame: Captured, result: Result, dropped: int) -> str:
        return self.lines.write(
            "frame",
            moment=frame.time,
            number=frame.number,
            name=frame.name,
            label=result.label,
            score=result.score,
            threshold=self.inspector.decision.threshold,
            anomalous_pixels=float(result.mask.mean()),
            milliseconds=round(result.milliseconds, 3),
            dropped=dropped,
        )

    def _react(self, frame: Captured, result: Result, line: str) -> None:
        if self.on_fail is not None:
            self.on_fail.submit(Job(line, frame.name, result.score, frame.path))
        if self.keeper is not None:
            geometry = self.inspector.bundle.manifest.geometry
            picture = overlay(
                frame.pixels,
                result.anomaly_map,
                self.inspector.decision,
                geometry,
            )
            try:
                self.keeper.save(
                    picture,
                    name=frame.name,
                    number=frame.number,
                    time=frame.time,
                )
            except OutputError as error:
                self.lines.error(frame.name, str(error))

    def _announce(self) -> None:
        bundle, session = self.inspector.bundle, self.inspector.session
        self.lines.write(
            "started",
            source=self.source.name,
            bundle=str(bundle.path),
            digest=bundle.manifest.digest,
            runtime=session.name,
            running_on=session.running_on,
            threshold=self.inspector.decision.threshold,
        )

    def _reached_limit(self) -> bool:
        return (
            self.options.limit is not None
            and self._frames + self._unusable >= self.options.limit
        )

    def _summary(self) -> Summary:
        return Summary(
            self._frames,
            self._anomalous,
            self._unusable,
            self.lines.errors,
            self._mailbox.dropped,
        )
