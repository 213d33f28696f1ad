"""Run one process and measure what it took: CPU time, wall time, peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["ProcessFailed", "Taken", "run", "run_to_json"]

LAUNCHER = """
import json, os, sys, time
output, *command = sys.argv[1:]
start = time.perf_counter()
child = os.fork()
if not child:
    stream = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    os.execvp(command[0], command)
_, status, used = os.wait4(child, 0)
taken = time.perf_counter() - start
code = os.waitstatus_to_exitcode(status)
print(json.dumps([code, used.ru_utime + used.ru_stime, taken, used.ru_maxrss * 1024]))
"""
"""Runs a command. A process counts the memory that it was forked from as its peak, so the launcher is a small one."""


class Taken(NamedTuple):
    """CPU seconds (user and system), wall seconds and peak resident bytes."""

    cpu: float
    wall: float
    peak: int


class ProcessFailed(Exception):
    """A measured process ended with an error."""


def run(command: Sequence[str], checkout: Path, output: Path) -> Taken:
    """Run a command with the package of a checkout; its output goes to a file.

    Raises:
        ProcessFailed: its exit code is not 0.
    """
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    launcher = [sys.executable, "-S", "-E", "-c", LAUNCHER, str(output)]
    done = subprocess.run(
        [*launcher, *command],
        cwd=output.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    code, cpu, wall, peak = json.loads(done.stdout)
    if code:
        text = output.read_text(encoding="utf-8", errors="replace")
        raise ProcessFailed(f"{' '.join(command[:6])}: {text[-2000:]}")
    return Taken(cpu, wall, peak)


def run_to_json(command: Sequence[str], checkout: Path, output: Path) -> Any:
    """Run a command and return the JSON of its last line; errors as in `run`."""
    run(command, checkout, output)
    return json.loads(output.read_text(encoding="utf-8").splitlines()[-1])
