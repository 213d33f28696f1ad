"""Run a function in a forked process and kill it: after a delay, before a change of a file, or at a system call."""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

__all__ = [
    "CALLS",
    "Kill",
    "has_strace",
    "in_a_fork",
    "pick_call",
    "seen_calls",
]

CHANGES = (
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.mkdir",
    "os.chmod",
    "os.link",
    "shutil.rmtree",
    "ctypes.dlsym",
)
CALLS = (
    "fsync",
    "rename",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "chmod",
    "fchmod",
    "ftruncate",
    "write",
    "close",
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_SET_PTRACER, _ANY = 0x59616D61, -1


class Kill(NamedTuple):
    """When to send SIGKILL; never by default.

    Attributes:
        delay: seconds after the start.
        change: number, from 1, of the file change (a Python audit event) before which to kill.
        call: name of the system call at whose start to kill.
        count: number of that call within one thread, from 1.
    """

    delay: float | None = None
    change: int | None = None
    call: str = ""
    count: int = 0


def in_a_fork(
    run: Callable[[], object], kill: Kill | None = None, log: Path | None = None
) -> int:
    """Run a function in a fork of this process, which must have one thread; return the wait status.

    Args:
        run: the function; its output is discarded.
        kill: when to kill it.
        log: file to which the number of its file changes is written.
    """
    kill = kill or Kill()
    inject = [
        "-e",
        f"trace={kill.call}",
        "-e",
        f"inject={kill.call}:signal=KILL:when={kill.count}",
    ]
    child, tracer = _started(
        run, kill.change, log, inject if kill.call else None
    )
    if kill.delay is not None:
        _wait(child, kill.delay)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if tracer is not None:
        tracer.communicate()
    return status


def has_strace() -> bool:
    """Whether strace is installed and permitted to attach to a process."""
    if shutil.which("strace") is None:
        return False
    return bool(seen_calls(lambda: os.close(os.dup(0))))


def seen_calls(run: Callable[[], object]) -> Counter[str]:
    """Run a function in a fork and count its system calls that change files; empty if strace cannot attach."""
    child, tracer = _started(
        run,
        None,
        None,
        ["-c", "-U", "name,calls", "-e", f"trace={','.join(CALLS)}"],
    )
    os.waitpid(child, 0)
    text = tracer.communicate()[1] if tracer is not None else ""
    rows = re.findall(r"^\s*(\w+)\s+(\d+)\s*$", text, flags=re.MULTILINE)
    return Counter({name: int(count) for name, count in rows if name in CALLS})


def pick_call(seen: Counter[str], rng: Random) -> Kill:
    """Pick one of the system calls by name, with equal probability, and one of its occurrences."""
    name = rng.choice(sorted(seen))
    return Kill(call=name, count=rng.randint(1, seen[name]))


def _started(
    run: Callable[[], object],
    at_change: int | None,
    log: Path | None,
    strace: list[str] | None,
) -> "tuple[int, subprocess.Popen[str] | None]":
    """Fork, attach strace if options are given, then let the child begin."""
    if (count := len(list(Path("/proc/self/task").iterdir()))) != 1:
        sys.exit(
            f"error: got {count} threads before forking; expected one: set OPENBLAS_NUM_THREADS=1"
        )
    start, ready = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ready)
        _be_child(run, start, at_change, log)
    os.close(start)
    tracer = None if strace is None else _attached(child, strace)
    os.close(ready)
    return child, tracer


def _attached(child: int, options: list[str]) -> "subprocess.Popen[str] | None":
    """Attach strace to a waiting child; None if that is not permitted."""
    tracer = subprocess.Popen(
        ["strace", "-f", "-p", str(child), *options],  # noqa: S607 - strace from the PATH
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    said = tracer.stderr.readline() if tracer.stderr else ""
    if "attached" in said:
        return tracer
    tracer.communicate()
    return None


def _be_child(
    run: Callable[[], object],
    start: int,
    at_change: int | None,
    log: Path | None,
) -> None:
    status = 1
    try:
        # Permit strace, which is not an ancestor of this process, to attach.
        ctypes.CDLL(None).prctl(_SET_PTRACER, ctypes.c_long(_ANY), 0, 0, 0)
        os.read(start, 1)
        os.close(start)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        counted = [0]
        sys.addaudithook(
            lambda event, arguments: _count(
                event, arguments, counted, at_change
            )
        )
        run()
        if log is not None:
            log.write_text(str(counted[0]))
        status = 0
    finally:
        os._exit(status)


def _count(
    event: str,
    arguments: tuple[Any, ...],
    counted: list[int],
    at_change: int | None,
) -> None:
    """Count events that change files; kill the process before change number `at_change`."""
    if event in CHANGES or (
        event == "open"
        and isinstance(arguments[2], int)
        and arguments[2] & _WRITES
    ):
        counted[0] += 1
        if counted[0] == at_change:
            os.kill(os.getpid(), signal.SIGKILL)


def _wait(child: int, delay: float) -> None:
    """Sleep for `delay` seconds or until the process ends, without reaping it."""
    end = time.monotonic() + delay
    while (left := end - time.monotonic()) > 0 and os.waitid(
        os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT
    ) is None:
        time.sleep(min(left, 0.002))
