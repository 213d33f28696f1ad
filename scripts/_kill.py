"""Run a function in a fork, and kill it: after a delay, before a change of a file, or at a system call."""

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

__all__ = ["CALLS", "Kill", "has_strace", "in_a_fork", "pick_call", "seen_calls"]

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.link", "shutil.rmtree", "ctypes.dlsym")
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
    """When to send SIGKILL; never, where nothing is given.

    Attributes:
        delay: seconds after the start.
        change: number of the change of a file (a Python audit event) that is not made any more, from 1.
        call: name of a system call, at whose start it comes.
        count: number of that call, from 1, in one thread.
    """

    delay: float | None = None
    change: int | None = None
    call: str = ""
    count: int = 0


def in_a_fork(run: Callable[[], object], kill: Kill | None = None, log: Path | None = None) -> int:
    """Run a function in a fork of this process, which must have one thread; returns the wait status.

    Args:
        run: the function; what it prints is dropped.
        kill: when to kill it.
        log: file for the number of its changes of files.
    """
    kill = kill or Kill()
    inject = ["-e", f"trace={kill.call}", "-e", f"inject={kill.call}:signal=KILL:when={kill.count}"]
    child, tracer = _started(run, kill.change, log, inject if kill.call else None)
    if kill.delay is not None:
        _wait(child, kill.delay)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if tracer is not None:
        tracer.communicate()
    return status


def has_strace() -> bool:
    """Whether strace is installed and may attach to a process here."""
    if shutil.which("strace") is None:
        return False
    return bool(seen_calls(lambda: os.close(os.dup(0))))


def seen_calls(run: Callable[[], object]) -> Counter[str]:
    """Run a function in a fork and count its system calls that change files; empty where strace cannot attach."""
    child, tracer = _started(run, None, None, ["-c", "-U", "name,calls", "-e", f"trace={','.join(CALLS)}"])
    os.waitpid(child, 0)
    text = tracer.communicate()[1] if tracer is not None else ""
    rows = re.findall(r"^\s*(\w+)\s+(\d+)\s*$", text, flags=re.MULTILINE)
    return Counter({name: int(count) for name, count in rows if name in CALLS})


def pick_call(seen: Counter[str], rng: Random) -> Kill:
    """Pick a system call, each name as likely as the others, and one of its times."""
    name = rng.choice(sorted(seen))
    return Kill(call=name, count=rng.randint(1, seen[name]))


def _started(
    run: Callable[[], object], at_change: int | None, log: Path | None, strace: list[str] | None
) -> "tuple[int, subprocess.Popen[str] | None]":
    """Fork, attach strace with these options where they are given, then let the child begin."""
    if (count := len(list(Path("/proc/self/task").iterdir()))) != 1:
        sys.exit(f"error: got {count} threads before forking; expected one: set OPENBLAS_NUM_THREADS=1")
    start, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(told)
        _be_child(run, start, at_change, log)
    os.close(start)
    tracer = None if strace is None else _attached(child, strace)
    os.close(told)
    return child, tracer


def _attached(child: int, options: list[str]) -> "subprocess.Popen[str] | None":
    """Attach strace to a child that waits; None where that is not permitted."""
    tracer = subprocess.Popen(
        ["strace", "-f", "-p", str(child), *options],  # noqa: S607 - the one that is installed
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    said = tracer.stderr.readline() if tracer.stderr else ""
    if "attached" in said:
        return tracer
    tracer.communicate()
    return None


def _be_child(run: Callable[[], object], start: int, at_change: int | None, log: Path | None) -> None:
    status = 1
    try:
        ctypes.CDLL(None).prctl(_SET_PTRACER, ctypes.c_long(_ANY), 0, 0, 0)  # strace is no ancestor of this process
        os.read(start, 1)
        os.close(start)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        counted = [0]
        sys.addaudithook(lambda event, arguments: _count(event, arguments, counted, at_change))
        run()
        if log is not None:
            log.write_text(str(counted[0]))
        status = 0
    finally:
        os._exit(status)


def _count(event: str, arguments: tuple[Any, ...], counted: list[int], at_change: int | None) -> None:
    """Count what changes files; the call that is counted last is never made."""
    if event in CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES):
        counted[0] += 1
        if counted[0] == at_change:
            os.kill(os.getpid(), signal.SIGKILL)


def _wait(child: int, delay: float) -> None:
    """Wait, but no longer than the process lives; it is left to be waited for."""
    end = time.monotonic() + delay
    while (left := end - time.monotonic()) > 0 and os.waitid(
        os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT
    ) is None:
        time.sleep(min(left, 0.002))
