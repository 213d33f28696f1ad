"""A GStreamer pipeline in a process of its own, started by `gst-launch-1.0` without a shell.

It needs only the tools of GStreamer, no Python bindings, so it works in every virtual environment; a driver that
crashes or hangs takes the process along, not the station.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from contextlib import suppress
from typing import IO, BinaryIO

from anomedge.errors import InputError, RuntimeMissing
from anomedge.station.sources._multipart import BOUNDARY

__all__ = ["GstLaunch", "find_gst_launch"]

_PROGRAM = "gst-launch-1.0"
_ERRORS = ("ERROR", "WARNING: erroneous pipeline")
_NEVER = ("erroneous pipeline", "could not be constructed")
"""Texts of errors that no further attempt can cure."""
_LONGEST_LINE = 1000
_END_TIMEOUT = 5.0
"""Time from the last frame to the end of the process, in seconds."""


def find_gst_launch() -> str:
    """Return the path of `gst-launch-1.0`.

    Raises:
        RuntimeMissing: it is not installed.
        InputError: the system is Windows.
    """
    if os.name != "posix":
        raise InputError(
            "got gst: on Windows; expected Linux or macOS: give raw frames on standard input, raw:WIDTHxHEIGHT:FORMAT"
        )
    found = shutil.which(_PROGRAM)
    if found is None:
        raise RuntimeMissing(
            f"{_PROGRAM} is not installed; expected it for gst: addresses: apt-get install gstreamer1.0-tools "
            "gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
        )
    return found


class GstLaunch:
    """A running pipeline, whose frames are read from `frames`.

    Args:
        program: path of `gst-launch-1.0`.
        pipeline: its arguments; the pipeline ends with caps.

    Raises:
        OSError: the process cannot be started.
    """

    def __init__(self, program: str, pipeline: list[str]) -> None:
        self._error, self._last = "", ""
        reading, writing = os.pipe()
        try:
            self._process = _started(program, pipeline, writing)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self.frames: BinaryIO = os.fdopen(reading, "rb")
        self._listener = threading.Thread(
            target=self._listen, args=(self._process.stderr,), daemon=True
        )
        self._listener.start()

    def kill(self) -> None:
        """End the process at once; safe in any thread, and after its end."""
        self._process.kill()

    def end(self) -> str:
        """Wait for the end of the process, or end it; return the reason if it failed, otherwise "".

        Raises:
            InputError: GStreamer refuses the pipeline.
        """
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_TIMEOUT)
        self.close()
        reason = self._error or self._last
        if any(text in self._error for text in _NEVER):
            raise InputError(
                f"got a pipeline that GStreamer refuses ({reason}); expected one that runs with {_PROGRAM}"
            )
        code = self._process.returncode
        if code == 0 and not self._error:
            return ""
        return reason or f"{_PROGRAM} ended with {code}"

    def close(self) -> None:
        """End the process, and close its pipes."""
        self.kill()
        self._process.wait()
        self._listener.join(_END_TIMEOUT)
        self.frames.close()

    def _listen(self, stderr: IO[bytes]) -> None:
        """Keep the first error and the last line of standard error; body of the listening thread."""
        with stderr:
            while line := stderr.readline(_LONGEST_LINE):
                text = _without_secrets(line.decode(errors="replace").strip())
                self._last = text or self._last
                if text.startswith(_ERRORS) and not self._error:
                    self._error = text


def _started(
    program: str, pipeline: list[str], writing: int
) -> subprocess.Popen[bytes]:
    """Start the pipeline; its frames go to the file descriptor `writing`. Drivers may print to standard output."""
    mux = ["multipartmux", f"boundary={BOUNDARY}"]
    sink = ["fdsink", f"fd={writing}"]
    # Messages are compared with texts, so they must be English.
    environment = {**os.environ, "LC_ALL": "C", "LANGUAGE": "C"}
    return subprocess.Popen(  # noqa: S603 - without a shell
        [program, "-q", "--", *pipeline, "!", *mux, "!", *sink],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=[writing],
        env=environment,
        start_new_session=True,
    )


def _without_secrets(text: str) -> str:
    """Return a message without the user names, passwords and queries of its URLs.

    >>> _without_secrets("Could not open rtsp://me:secret@camera/1?token=2")
    'Could not open rtsp://camera/1'
    """
    text = re.sub(r"://[^@/\s]*@", "://", text)
    return re.sub(r"(://[^\s?]*)\?\S*", r"\1", text)
