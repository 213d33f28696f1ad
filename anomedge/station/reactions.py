"""Reactions to an anomalous frame: run a command, save an overlay."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
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
    """An anomalous frame as input of its command.

    Attributes:
        line: its JSON line.
        name: value of {name}.
        score: value of {score}.
        path: value of {path}; None for a frame without a file.
    """

    line: str
    name: str
    score: float
    path: Path | None = None

    @property
    def values(self) -> dict[str, str]:
        """Value of each placeholder; `path` is empty for a frame without a file."""
        return {
            "name": self.name,
            "path": str(self.path or ""),
            "score": repr(self.score),
        }


class OnFail:
    """Runs a command for one frame after another, in order, in a thread of its own.

    The command runs without a shell: it is split as a shell splits, then {name}, {path} and {score} are replaced. The
    same values are in the environment variables ANOMEDGE_NAME, ANOMEDGE_PATH and ANOMEDGE_SCORE, for shell commands,
    where {name} and {path} are refused because a file's name must not become program text. A name or path that begins
    with `-` is passed as `./-...`. The frame's JSON line is the command's standard input; its standard output goes to
    standard error. It leads its own process group, which is killed as a whole after the timeout.

    Args:
        command: the command line.
        report: called with a frame's name and a message if its command cannot run, fails or times out.
        timeout: in seconds.
        waiting: largest number of frames that wait for their command; beyond it `submit` blocks.

    Raises:
        InputError: see `placeholders.split_command`.
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
        """Queue a frame for the command; block while too many wait."""
        self._jobs.put(job)

    def close(self) -> None:
        """Wait until the command has run for every queued frame."""
        self._jobs.put(None)
        while self._worker.is_alive():
            # A timeout lets Python run signal handlers in between.
            self._worker.join(1.0)

    def kill(self) -> None:
        """Kill the running command and its process group."""
        process = self._process
        if process is not None and process.returncode is None:
            _kill(process)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._run(job)
            # No memory, no permission, or a name with a NUL character.
            except (OSError, ValueError) as error:
                self._report(job.name, f"--on-fail could not run ({error})")

    def _run(self, job: Job) -> None:
        values = job.values
        arguments = [filled(part, values) for part in self._parts]
        # Without a shell; standard output is reserved for the JSON lines.
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
    """Saves pictures in a folder and deletes its oldest ones; never touches other files.

    Args:
        folder: created if it does not exist.
        keep: largest number of pictures, those of earlier runs included.

    Raises:
        OutputError: the folder cannot be created or written.
    """

    def __init__(self, folder: Path, keep: int = 1000) -> None:
        self.folder = folder
        self.keep = keep
        try:
            folder.mkdir(parents=True, exist_ok=True)
            check_target(folder / "overlay.png", force=True)
            names = sorted(path.name for path in folder.iterdir())
            self._names = deque(filter(_KEPT.fullmatch, names))
            self._remove_temporary_files(names)
        except OSError as error:
            reason = error.strerror or str(error)
            raise OutputError(
                f"cannot write into {folder}: {reason}; give a folder that can be written"
            ) from error

    def save(
        self, picture: Frame, *, name: str, number: int, time: float
    ) -> Path:
        """Write a picture as PNG, atomically, and return its path.

        Raises:
            OutputError: it cannot be written, or an old picture cannot be deleted.
        """
        moment = datetime.fromtimestamp(time, timezone.utc).strftime(
            "%Y%m%dT%H%M%S.%fZ"
        )
        plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[-80:]
        target = self.folder / f"{moment}-{number:08d}-{plain}.overlay.png"
        try:
            self._make_room()
            # Abandoned temporary files are removed once, in __init__.
            with atomic_file(target, force=True, sweep=False) as temporary:
                Image.fromarray(picture).save(temporary, format="PNG")
        except OSError as error:
            reason = error.strerror or str(error)
            raise OutputError(
                f"cannot write {target}: {reason}; make space, or lower --keep"
            ) from error
        self._names.append(target.name)
        return target

    def _remove_temporary_files(self, names: Sequence[str]) -> None:
        """Remove temporary files of its pictures that a killed process left."""
        for name in names:
            is_temporary = name.startswith(".") and name.endswith(".tmp")
            if is_temporary and _KEPT.match(name[1:]):
                (self.folder / name).unlink()

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
