"""Process group of a station's commands that ends with the station, however the station ends.

A small shell, the guard, leads the group and reads from a pipe that only the station can write to. When the station has
ended, by SIGKILL too, the pipe ends and the guard kills the group. A command joins the group before its program starts,
so there is no moment at which it could be left behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["CommandGroup"]

_SHELL = "/bin/sh"
# Other signals end the station first.
_GUARD = "trap '' HUP INT TERM; read -r _; kill -KILL 0"
_CAN_JOIN = sys.version_info >= (3, 11) and Path(_SHELL).exists()
"""Whether a new process can join a group: `Popen(process_group=...)` is new in Python 3.11."""


class CommandGroup:
    """A process group for the commands of a station, one after another.

    Processes that a command leaves behind stay in the group. Without Python 3.11 or a shell, each command has a group of
    its own, which outlives a SIGKILL of the station.
    """

    def __init__(self) -> None:
        self._guard: int | None = None
        self._end: weakref.finalize[Any, CommandGroup] | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `Popen` for a process of the group; start the guard if there is none."""
        if not _CAN_JOIN:
            return {"start_new_session": True}
        if self._guard is not None and _has_ended(self._guard):
            self._forget()
        if self._guard is None:
            self._start()
        return {"process_group": self._guard}

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a process of the group and all others of it; the next process gets a new group."""
        if not hasattr(os, "killpg"):
            process.kill()
        elif self._guard is None:
            _kill(process.pid)
        else:
            self.close()

    def close(self) -> None:
        """Kill the group."""
        end, self._end = self._end, None
        self._guard = None
        if end is not None:
            end()

    def _start(self) -> None:
        reading, writing = _pipe()
        null = (os.devnull, os.O_WRONLY, 0)
        try:
            self._guard = os.posix_spawn(
                _SHELL,
                [_SHELL, "-c", _GUARD],
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, reading, 0),
                    (os.POSIX_SPAWN_OPEN, 1, *null),
                    (os.POSIX_SPAWN_OPEN, 2, *null),
                ],
                setpgroup=0,
            )
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        self._end = weakref.finalize(self, _end, self._guard, writing)

    def _forget(self) -> None:
        """Forget a guard that has ended; its number may be another process's by now."""
        ended = self._end.detach() if self._end is not None else None
        self._guard = self._end = None
        if ended is not None:
            _, writing = ended[2]
            os.close(writing)


def _pipe() -> tuple[int, int]:
    """Return the ends of a pipe; neither is 0, also if standard input is closed."""
    import fcntl  # not on Windows

    ends = os.pipe()
    reading, writing = (
        fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 3) for end in ends
    )
    for end in ends:
        os.close(end)
    return reading, writing


def _end(guard: int, writing: int) -> None:
    """Kill a guard and its group, and free both."""
    _kill(guard)
    with suppress(OSError):
        os.waitpid(guard, 0)
    with suppress(OSError):
        os.close(writing)


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _has_ended(guard: int) -> bool:
    try:
        return os.waitpid(guard, os.WNOHANG)[0] == guard
    except ChildProcessError:
        return True
