"""Source of the frames of a GStreamer pipeline: CSI cameras of a Jetson, GenICam cameras by `aravissrc`, and others."""

from __future__ import annotations

import re
import shlex
import threading

from anomedge.errors import InputError
from anomedge.station.sources._caps import frame_of_caps
from anomedge.station.sources._connection import Disconnected, Shots
from anomedge.station.sources._gst_launch import GstLaunch, find_gst_launch
from anomedge.station.sources._live import LiveSource
from anomedge.station.sources._multipart import parts
from anomedge.station.sources._raw_frames import shot_of
from anomedge.station.sources.base import SourceOptions

__all__ = ["GStreamerSource"]

_PREFIX = "gst:"


class GStreamerSource(LiveSource):
    """A pipeline as `gst-launch-1.0` takes it, without a sink and with caps at its end.

    ::

        gst:v4l2src device=/dev/video0 ! videoconvert ! video/x-raw,format=RGB,width=640,height=480

    The caps state one size and one format, so GStreamer converts or refuses, and every frame has the stated number of
    bytes. The end of the stream counts as a lost connection, because network cameras end their streams when they
    restart; with `once` it is the end.

    Args:
        address: "gst:" and the pipeline.
        options: those of live sources; `once` and `levels`.

    Raises:
        InputError: the pipeline does not end with such caps, or cannot be split.
        RuntimeMissing: GStreamer's tools are not installed.
    """

    name = "gstreamer"
    takes = LiveSource.takes | {"levels", "once"}
    address_help = "gst:PIPELINE"
    device = "pipeline"
    attempt = "restart it"

    def __init__(
        self, address: str, options: SourceOptions | None = None
    ) -> None:
        given = options or SourceOptions()
        self._pipeline = _split(address)
        super().__init__(_title(self._pipeline), given)
        self._frame = frame_of_caps(_last_part(self._pipeline), given.levels)
        self._once = given.once
        self._program = find_gst_launch()
        self._running: GstLaunch | None = None

    @classmethod
    def accepts(cls, address: str) -> bool:
        """Return whether the address is a pipeline.

        >>> GStreamerSource.accepts("gst:videotestsrc ! video/x-raw")
        True
        """
        return address.startswith(_PREFIX)

    def frames(self, number: int, stop: threading.Event) -> Shots:
        """Start the pipeline and yield its frames until it ends or `stop` is set."""
        running = GstLaunch(self._program, self._pipeline)
        self._running = running
        try:
            for content in parts(running.frames):
                if stop.is_set():
                    return
                number += 1
                yield shot_of(self._frame, content, number, self.title)
            reason = running.end()
        finally:
            running.close()
        self._finish(reason, number)

    def interrupt(self) -> None:
        """End the process; its frames end."""
        running = self._running
        if running is not None:
            running.kill()

    def _finish(self, reason: str, number: int) -> None:
        """Return if the stream ended and `once` was given; raise otherwise."""
        if reason or not self._once:
            raise Disconnected(reason or "the pipeline ended")
        if number == 0:
            raise InputError(
                f"{self.title} ended without a frame; expected a pipeline with frames: run it with gst-launch-1.0"
            )


def _split(address: str) -> list[str]:
    """Return the arguments of the pipeline, split as a shell does."""
    try:
        return shlex.split(address.removeprefix(_PREFIX))
    except ValueError as error:
        raise InputError(
            f"got a pipeline that cannot be split ({error}); expected one as gst-launch-1.0 takes it, with quotes closed"
        ) from error


def _last_part(pipeline: list[str]) -> str:
    """Return the text after the last "!" of a pipeline, "" if there is none."""
    part: list[str] = []
    for argument in reversed(pipeline):
        if argument == "!":
            return " ".join(reversed(part))
        part.append(argument)
    return ""


def _title(pipeline: list[str]) -> str:
    """Return a title: the first element. Its properties may hold passwords."""
    first = pipeline[0] if pipeline else ""
    is_element = re.fullmatch(r"[A-Za-z][\w-]*", first, re.ASCII)
    return f"gst:{first}" if is_element else "gst:pipeline"
