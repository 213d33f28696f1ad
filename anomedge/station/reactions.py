"""What a station does about an anomalous frame: run a command, keep a picture."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from PIL import Image

from anomedge.errors import OutputError
from anomedge.files import atomic_file, check_target
from anomedge.images import Frame
from anomedge.station.placeholders import environment, filled, split_command

__all__ = ["Job", "OnFail", "PictureKeeper"]

Report = Callable[[str, str], None]

_KEPT = re.compile(r"\d{8}T\d{6}\.\d{6}Z-\d+-.*\.overlay\.png")
_STDERR = 2


@dataclass(frozen=True)
class Job:
    """An anomalous frame as its command gets it: its JSON line, and what the placeholders stand for."""

    line: str
    name: str
    score: float
    path: Path | None = None

    @property
    def values(self) -> dict[str, str]:
        """Text of each placeholder; `path` is empty for a frame without a file."""
        return {
            "name": self.name,
            "path": str(self.path or ""),
            "score": repr(self.score),
        }


class OnFail:
    """Runs a command for one frame after another, in their order, in a thread of its own.

    The command is no shell's: it is split as a shell would, then {name}, {path} and {score} are filled in. They are also
    in the environment variables ANOMEDGE_NAME, ANOMEDGE_PATH and ANOMEDGE_SCORE, for a shell's command line, where
    {name} and {path} are refused: a file's name must not become a command. A name or path that begins with `-` is
    given as `./-...`. The command gets the frame's JSON line on its standard input, and what it prints goes to
    standard error. It leads a process group of its own, which is killed as a whole when it takes too long.

    Args:
        command: to run.
        report: called with a frame's name and a message when its command cannot run, fails or takes too long.
        timeout: seconds.
        waiting: how many frames may wait for their command; `submit` blocks at more.

    Raises:
        InputError: as `placeholders.split_command`.
    """

    def __init__(
        self,
        command: str,
        report: Report,
        *,
        timeout: float = 10.0,
        waiting: int = 4,
    ) -> None:
        self._parts = split_command(command)
        self._report = report
        self._timeout = timeout
        self._jobs: queue.Queue[Job | None] = queue.Queue(waiting)
        self._process: subprocess.Popen[bytes] | None = None
        self._worker = threading.Thread(
            target=self._work, name="on-fail", daemon=True
        )
        self._worker.start()

    def submit(self, job: Job) -> None:
        """Have the command run for a frame; blocks while too many wait."""
        self._jobs.put(job)

    def close(self) -> None:
        """Wait until every frame's command has run, each no longer than its timeout."""
        self._jobs.put(None)
        while self._worker.is_alive():
            self._worker.join(
                1.0
            )  # in pieces, so that a signal is never kept waiting for long

    def kill(self) -> None:
        """Kill the command that runs now, with its process group."""
        process = self._process
        if process is not None and process.returncode is None:
            _kill(process)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._run(job)
            except (
                OSError,
                ValueError,
            ) as error:  # no memory, no right, a name with a NUL
                self._report(job.name, f"--on-fail could not run ({error})")

    def _run(self, job: Job) -> None:
        values = job.values
        arguments = [filled(part, values) for part in self._parts]
        # Not a shell, and standard output belongs to the JSON lines.
        with subprocess.Popen(  # noqa: S603
            arguments,
            stdin=subprocess.PIPE,
            stdout=_STDERR,
            start_new_session=True,
            env=environment(values),
        ) as process:
            self._process = process
            try:
                process.communicate(
                    f"{job.line}\n".encode(), timeout=self._timeout
                )
            except subprocess.TimeoutExpired:
                _kill(process)
                self._report(
                    job.name,
                    f"--on-fail took longer than {self._timeout:g} seconds and was killed",
                )
                return
        if process.returncode:
            self._report(
                job.name,
                f"--on-fail ended with {process.returncode}; expected 0",
            )


class PictureKeeper:
    """Keeps the newest pictures in a folder, and deletes older ones of its own, never anything else.

    Args:
        folder: made when it is missing.
        keep: how many pictures stay, those of earlier runs included.

    Raises:
        OutputError: the folder cannot be made or written.
    """

    def __init__(self, folder: Path, keep: int = 1000) -> None:
        self.folder = folder
        self.keep = keep
        try:
            folder.mkdir(parents=True, exist_ok=True)
            check_target(folder / "overlay.png", force=True)
            names = [path.name for path in folder.iterdir()]
            self._names = deque(
                sorted(name for name in names if _KEPT.fullmatch(name))
            )
            for name in names:
                if (
                    name.startswith(".")
                    and name.endswith(".tmp")
                    and _KEPT.match(name[1:])
                ):
                    (folder / name).unlink()  # what a power cut left
        except OSError as error:
            reason = error.strerror or str(error)
            raise OutputError(
                f"cannot write into {folder}: {reason}; give a folder that can be written"
            ) from error

    def save(
        self, picture: Frame, *, name: str, number: int, time: float
    ) -> Path:
        """Write a picture as PNG, whole or not at all, and return its path.

        Raises:
            OutputError: it cannot be written, or an old one cannot be deleted.
        """
        moment = datetime.fromtimestamp(time, timezone.utc).strftime(
            "%Y%m%dT%H%M%S.%fZ"
        )
        plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[-80:]
        target = self.folder / f"{moment}-{number:08d}-{plain}.overlay.png"
        try:
            self._make_room()
            with atomic_file(
                target, force=True, sweep=False
            ) as temporary:  # swept once, in __init__
                Image.fromarray(picture).save(temporary, format="PNG")
        except OSError as error:
            reason = error.strerror or str(error)
            raise OutputError(
                f"cannot write {target}: {reason}; make space, or lower --keep"
            ) from error
        self._names.append(target.name)
        return target

    def _make_room(self) -> None:
        while len(self._names) >= self.keep:
            (self.folder / self._names[0]).unlink(missing_ok=True)
            self._names.popleft()


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
