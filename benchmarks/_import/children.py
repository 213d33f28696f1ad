"""Steps of the benchmark, each in a process with a version of anomalib."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _import.environment import overlay_of

BENCHMARKS = Path(__file__).resolve().parent.parent
SCRIPT = BENCHMARKS / "import_anomalib.py"
PROJECT = BENCHMARKS.parent
TIMEOUT = 1800


class ChildFailed(Exception):
    """A step failed; the message is the last line of its errors."""


class Children:
    """Run a module of `_import` in a process with a version of anomalib."""

    def __init__(
        self, python: Path, overlays: Path, work: Path, threads: int
    ) -> None:
        self.python, self.overlays = python, overlays
        self.work, self.threads = work, threads
        self.started = time.perf_counter()

    def __call__(self, step: str, version: str, /, **asked: Any) -> Any:
        """Return the result of the module's `main`.

        Raises:
            ChildFailed: it failed, or the version does not install.
        """
        shown = f"{step} {asked.get('name', '')}"
        seconds = time.perf_counter() - self.started
        print(f"{seconds:6.0f} s  {shown}", file=sys.stderr, flush=True)
        asked |= {
            "work": str(self.work), "threads": self.threads, "version": version,
        }  # fmt: skip
        environment = self._environment(version)
        # anomalib's inferencers write a cache into the current folder.
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            result = Path(folder) / "result.json"
            command = [
                self.python, SCRIPT, "--child", step, json.dumps(asked), result,
            ]  # fmt: skip
            done = subprocess.run(
                command,
                env=environment,
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
                timeout=TIMEOUT,
            )
            if done.returncode:
                lines = done.stderr.strip().splitlines() or ["no message"]
                raise ChildFailed(f"{shown}: {lines[-1][:200]}")
            return json.loads(result.read_text(encoding="utf-8"))

    def _environment(self, version: str) -> dict[str, str]:
        try:
            overlay = overlay_of(self.overlays, version, self.python)
        except subprocess.CalledProcessError as error:
            raise ChildFailed(
                f"anomalib {version} does not install: exit code {error.returncode}"
            ) from error
        folders = (
            [str(PROJECT)] if overlay is None else [str(overlay), str(PROJECT)]
        )
        return os.environ | {
            "PYTHONPATH": os.pathsep.join(folders),
            "PYTHONWARNINGS": "ignore",
            "OMP_NUM_THREADS": str(self.threads),
        }
