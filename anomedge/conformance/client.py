"""Run a client program on frames; its output is untrusted text of limited size."""

from __future__ import annotations

import math
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from anomedge.errors import InputError
from anomedge.files import JsonError, parse_json, read_limited
from anomedge.names import printable

__all__ = ["Answer", "Client", "ClientCommand"]

_MOST_OUTPUT = 1 << 20
"""Bytes of standard output that are read; a line a frame takes less than 1 KiB."""
_MOST_WRITTEN = 16 << 20
"""Bytes that a client may write to standard output or error before it is ended; logs of runtimes take less."""
_INTERVAL = 0.05
_SIGNALS_OF_SHELLS = range(129, 193)
"""Exit codes of shells for a program that a signal ended."""
_LABELS = ("normal", "anomalous")
_FRAME_WORDS = ("{frame}", "{raw}", "{frames}")


@dataclass(frozen=True)
class Answer:
    """Results of one call of a client, in the order of its frames.

    Attributes:
        scores: float64 (count,).
        labels: "normal" or "anomalous".
        anomaly_map: float32 (h, w) of a single frame, if the client writes maps.
        refusal: reason of a client that gave no result; scores and labels are then empty.
        fault: violation of the protocol, if the client neither answered nor refused.
    """

    scores: npt.NDArray[np.float64]
    labels: tuple[str, ...] = ()
    anomaly_map: npt.NDArray[np.float32] | None = None
    refusal: str | None = None
    fault: str | None = None

    @classmethod
    def refused(cls, reason: str) -> Answer:
        """Return the answer of a client that refused."""
        return cls(np.empty(0), refusal=reason)

    @classmethod
    def faulty(cls, reason: str) -> Answer:
        """Return the answer of a client that violated the protocol."""
        return cls(np.empty(0), fault=reason)


Client = Callable[[Path, Sequence[Path], tuple[int, int] | None], Answer]
"""Arguments: bundle, frames, and the size (h, w) of the map if the client is to write one."""


class ClientCommand:
    """A client as a command line with placeholders; no shell is started.

    Args:
        template: command with {bundle}, and {frame} (a PNG), {raw} (raw RGB bytes) or {frames} (several PNGs); with {map},
            the client writes the map as raw float32 to that path.
        timeout: limit of one call, in seconds.

    Raises:
        InputError: the template cannot be split, lacks a placeholder, or its program is not found.
    """

    def __init__(self, template: str, timeout: float) -> None:
        try:
            self._words = shlex.split(template)
        except ValueError as error:
            raise InputError(
                f"got --client {template!r}: {error}; expected a command with its arguments"
            ) from error
        self._timeout = timeout
        used = [word for word in _FRAME_WORDS if word in template]
        if "{bundle}" not in template or len(used) != 1:
            raise InputError(
                f"got --client {template!r}; expected {{bundle}} and one of {', '.join(_FRAME_WORDS)} in it"
            )
        if used == ["{frames}"] and "{frames}" not in self._words:
            raise InputError(
                "got {frames} within a word; expected a word of its own"
            )
        if shutil.which(self._words[0]) is None:
            raise InputError(
                f"got the program {self._words[0]!r} in --client, which is not found; expected a program that can be run"
            )
        self.is_raw = used == ["{raw}"]
        self.takes_several = used == ["{frames}"]
        self.writes_map = "{map}" in template

    def __call__(
        self,
        bundle: Path,
        frames: Sequence[Path],
        map_size: tuple[int, int] | None = None,
    ) -> Answer:
        """Run the program on frames and return its answer."""
        with tempfile.TemporaryDirectory(prefix="anomedge-conform-") as folder:
            target = Path(folder) / "map.f32"
            command = self._filled(bundle, frames, target)
            answer = self._run(command, len(frames))
            if map_size is None or not self.writes_map or answer.fault:
                return answer
            if answer.refusal is not None:
                return answer
            return _with_map(answer, target, map_size)

    def _filled(
        self, bundle: Path, frames: Sequence[Path], target: Path
    ) -> list[str]:
        command: list[str] = []
        for word in self._words:
            if word == "{frames}":
                command += map(str, frames)
                continue
            values = {"bundle": bundle, "map": target}
            values |= {"frame": frames[0], "raw": frames[0]}
            for name, value in values.items():
                word = word.replace(f"{{{name}}}", str(value))
            command.append(word)
        return command

    def _run(self, command: list[str], count: int) -> Answer:
        with (
            tempfile.TemporaryFile() as output,
            tempfile.TemporaryFile() as errors,
        ):
            try:
                code = _wait(command, output, errors, self._timeout)
            except _Endless as error:
                return Answer.faulty(f"{error}; expected a result or a refusal")
            if code < 0 or code in _SIGNALS_OF_SHELLS:
                return Answer.faulty(
                    f"ended by a signal, exit code {code}; expected a result or a refusal: {_last_line(errors)}"
                )
            if code != 0:
                return Answer.refused(f"exit code {code}: {_last_line(errors)}")
            return _parsed(_start_of(output), count)


class _Endless(Exception):
    """A client exceeded a limit and was ended."""


def _wait(
    command: list[str], output: IO[bytes], errors: IO[bytes], timeout: float
) -> int:
    """Run a program in a process group of its own, end the whole group, and return the exit code.

    Raises:
        InputError: the program cannot be started.
        _Endless: it took too long or wrote too much.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - the user's own command
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
    except OSError as error:
        raise InputError(
            f"got the program {command[0]!r} in --client, which does not start ({error.strerror}); expected a program that can be run"
        ) from error
    try:
        return _code_within_limits(process, (output, errors), timeout)
    finally:
        # Children that the client left behind hold its files.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _code_within_limits(
    process: subprocess.Popen[bytes],
    files: Sequence[IO[bytes]],
    timeout: float,
) -> int:
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(min(_INTERVAL, timeout))
        if any(
            os.fstat(file.fileno()).st_size > _MOST_WRITTEN for file in files
        ):
            raise _Endless(f"more than {_MOST_WRITTEN} bytes of output")
    raise _Endless(f"no end within {timeout:g} seconds")


def _start_of(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read(_MOST_OUTPUT + 1)


def _last_line(file: IO[bytes]) -> str:
    text = _start_of(file).decode("utf-8", "replace")
    lines = text.strip().splitlines() or ["nothing on standard error"]
    return printable(lines[-1][:200])


def _parsed(output: bytes, count: int) -> Answer:
    """Parse one JSON object a frame; lines that do not start with a brace are ignored."""
    if len(output) > _MOST_OUTPUT:
        return Answer.faulty(
            f"more than {_MOST_OUTPUT} bytes on standard output; expected one line a frame"
        )
    lines = [line for line in output.splitlines() if line.startswith(b"{")]
    if len(lines) != count:
        return Answer.faulty(
            f"{len(lines)} JSON lines on standard output; expected {count}, one a frame"
        )
    scores, labels = [], []
    for line in lines:
        try:
            content = parse_json(line)
        except JsonError as error:
            return Answer.faulty(f"a line that is not strict JSON: {error}")
        given, label = content.get("score"), content.get("label")
        score = _number(given)
        if score is None or label not in _LABELS:
            return Answer.faulty(
                f"score {given!r:.40} and label {label!r:.40}; expected a number, and one of {', '.join(_LABELS)}"
            )
        scores.append(score)
        labels.append(label)
    return Answer(np.array(scores), tuple(labels))


def _number(value: object) -> float | None:
    """Return a finite number as float; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def _with_map(answer: Answer, target: Path, size: tuple[int, int]) -> Answer:
    expected = 4 * size[0] * size[1]
    try:
        content = read_limited(target, expected)
    except (OSError, JsonError) as error:
        return Answer.faulty(f"a map that cannot be read: {error}")
    if len(content) != expected:
        return Answer.faulty(
            f"a map of {len(content)} bytes; expected {expected}: raw float32 of {size[0]}x{size[1]}"
        )
    values = np.frombuffer(content, np.dtype("<f4")).reshape(size)
    return Answer(answer.scores, answer.labels, values)
