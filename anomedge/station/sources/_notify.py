"""Notifications of the system about the files of a folder: inotify, FSEvents, or what Windows has.

They come from `watchfiles`, an extra, which is imported when a folder is opened. They only make a source look sooner:
network drives give none, and the source lists the folder at intervals in any case.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

__all__ = ["FolderWatch"]

_GROUPED = 50
"""Longest time for which changes are grouped, in milliseconds."""
_STEP = 10
"""Interval at which changes and the stop flag are looked at, in milliseconds."""
_DELETED = 3


class FolderWatch:
    """A folder whose changes are notified; `open` returns None where the system or the extra gives no notifications."""

    def __init__(self, notify: Any) -> None:
        self._notify = notify

    @classmethod
    def open(cls, folder: Path) -> FolderWatch | None:
        """Watch the files directly in a folder, from now on."""
        try:
            from watchfiles._rust_notify import RustNotify
        except ImportError:
            return None
        try:
            return cls(RustNotify([str(folder)], False, False, 0, False, True))
        except (OSError, RuntimeError):
            return None  # too many watches, or a file system without

    def wait(self, stop: threading.Event, seconds: float) -> frozenset[str]:
        """Wait for files that came or changed; return their names, none after `seconds` or if `stop` is set."""
        end = time.monotonic() + seconds
        while not stop.is_set():
            left = max(1, round(1000 * (end - time.monotonic())))
            try:
                found = self._notify.watch(_GROUPED, _STEP, left, stop)
            except RuntimeError:  # the library's errors; the folder is polled
                stop.wait(left / 1000)
                break
            if isinstance(found, str):  # "timeout", "stop" or "signal"
                break
            names = {
                Path(path).name for kind, path in found if kind != _DELETED
            }
            if names:
                return frozenset(names)
            if time.monotonic() >= end:
                break
        return frozenset()

    def close(self) -> None:
        """End the watch."""
        self._notify.close()
