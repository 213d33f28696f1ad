"""Ask a question in a separate process with a time limit; a crash is an answer."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from dataclasses import dataclass
from typing import Any

from anomedge.runtimes.own_process import command_of

__all__ = ["Answer", "ask", "missing_libraries"]

_LONGEST = 400
_MISSING = re.compile(
    r"(lib[\w.+-]+\.so[\d.]*)\W{1,3}(?:cannot open shared object|is missing)"
)


@dataclass(frozen=True)
class Answer:
    """What a process said before it ended.

    Attributes:
        lines: its records, in order.
        end: "" if it ended well; else one line on how it ended.
        missing: names of shared libraries that its messages call missing.
    """

    lines: tuple[dict[str, Any], ...]
    end: str
    missing: tuple[str, ...]


def ask(arguments: list[str], seconds: float) -> Answer:
    """Run the worker with arguments; return its records even if it crashed or was stopped."""
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, our own module
            command_of("anomedge.doctor.worker", *arguments),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as stopped:
        end = f"no answer within {seconds:g} s"
        return _answer(stopped.stdout, stopped.stderr, end)
    return _answer(done.stdout, done.stderr, _end_of(done))


def missing_libraries(text: str) -> tuple[str, ...]:
    """Return the shared libraries that messages of a loader call missing.

    >>> missing_libraries("libcudnn.so.9: cannot open shared object file: No such file")
    ('libcudnn.so.9',)
    """
    return tuple(sorted(set(_MISSING.findall(text))))


def _answer(output: bytes | None, errors: bytes | None, end: str) -> Answer:
    text = (output or b"").decode(errors="replace")
    lines = [json.loads(line) for line in text.splitlines() if _is_record(line)]
    said = text + (errors or b"").decode(errors="replace")
    return Answer(tuple(lines), end, missing_libraries(said))


def _is_record(line: str) -> bool:
    """Return whether a line is a whole record of the worker; vendors print to the same place."""
    if not line.startswith('{"doctor": '):
        return False
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _end_of(done: subprocess.CompletedProcess[bytes]) -> str:
    """Format how a process ended; "" if it ended well."""
    if done.returncode == 0:
        return ""
    errors = done.stderr.decode(errors="replace").strip().splitlines()
    last = f": {errors[-1][:_LONGEST]}" if errors else ""
    if done.returncode < 0 and os.name == "posix":
        name = signal.Signals(-done.returncode).name
        return f"its process ended by {name}{last}"
    return f"its process ended with {done.returncode}{last}"
