"""How fast, and how much memory: runtimes and batch sizes in turns within one process, so that their ratios hold.

A machine's clock, its other jobs and its caches change from second to second; figures taken one after the other compare
the seconds as much as the runtimes. So every cell gets a few calls in each round, in an order that rotates, and the
first call of a turn, which still pays for the cell before it, is not counted. Peak memory is that of a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anomedge.bundle import Bundle
from anomedge.errors import InputError, RuntimeFailure
from anomedge.images import Frame
from anomedge.parity.pictures import synthetic
from anomedge.parity.plan import Plan
from anomedge.progress import track
from anomedge.runtimes import Session

__all__ = ["Timing", "measure", "ratios"]

_CALLS = 3
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Timing:
    """One runtime at one batch size.

    Attributes:
        median, p95: milliseconds a call, of `calls` counted ones.
        throughput: frames a second, over all counted calls.
        open_milliseconds: from the checked bundle to a session.
        peak_bytes: resident memory at its highest in a process that opens the bundle and runs a few calls, None where
            the system does not tell or nobody asked.
    """

    runtime: str
    version: str
    running_on: str
    precision: str
    batch: int
    calls: int
    median: float
    p95: float
    throughput: float
    open_milliseconds: float
    peak_bytes: int | None = None


@dataclass
class _Cell:
    session: Session
    batch: int
    frames: Frame
    open_milliseconds: float
    milliseconds: list[float]


def measure(
    bundle: Bundle, plan: Plan, rounds: int = 20, *, memory: bool = True
) -> list[Timing]:
    """Measure every runtime of the plan at every batch size.

    Args:
        bundle: an opened bundle.
        plan: which runtimes and batch sizes, where and in which precision.
        rounds: of three counted calls each.
        memory: start one more process for each cell, for its peak memory.

    Raises:
        InputError: no runtime, no batch size or no round.
        RuntimeMissing, DeviceMismatch, RuntimeFailure: see `anomedge.errors`.
    """
    if not plan.runtimes or not plan.batches or rounds < 1:
        raise InputError(
            "got no runtime, batch size or round; expected at least one of each: nothing would be measured"
        )
    with ExitStack() as stack:
        cells = [
            _opened(stack, bundle, plan, name, batch)
            for name in plan.runtimes
            for batch in plan.batches
        ]
        for turn in track(range(rounds), "measuring in turns", total=rounds):
            start = turn % len(cells)
            for cell in cells[start:] + cells[:start]:
                _take_turn(cell)
        peaks = [
            _peak_bytes(bundle, plan, cell) if memory else None
            for cell in cells
        ]
        return [
            _timing(cell, plan, peak)
            for cell, peak in zip(cells, peaks, strict=True)
        ]


def _opened(
    stack: ExitStack, bundle: Bundle, plan: Plan, runtime: str, batch: int
) -> _Cell:
    start = time.perf_counter()
    session = stack.enter_context(plan.open(bundle, runtime))
    milliseconds = (time.perf_counter() - start) * 1000
    return _Cell(session, batch, _frames(bundle, batch), milliseconds, [])


def _frames(bundle: Bundle, batch: int) -> Frame:
    pictures = synthetic(bundle.manifest.input.frame, count=min(batch, 4))
    return np.stack([pictures[i % len(pictures)].frame() for i in range(batch)])


def _take_turn(cell: _Cell) -> None:
    cell.session.run({"frames": cell.frames})
    for _ in range(_CALLS):
        start = time.perf_counter()
        cell.session.run({"frames": cell.frames})
        cell.milliseconds.append((time.perf_counter() - start) * 1000)


def _timing(cell: _Cell, plan: Plan, peak: int | None) -> Timing:
    return Timing(
        runtime=cell.session.name,
        version=cell.session.version,
        running_on=cell.session.running_on,
        precision=plan.precision,
        batch=cell.batch,
        calls=len(cell.milliseconds),
        median=float(np.median(cell.milliseconds)),
        p95=float(np.percentile(cell.milliseconds, 95)),
        throughput=1000
        * cell.batch
        * len(cell.milliseconds)
        / sum(cell.milliseconds),
        open_milliseconds=cell.open_milliseconds,
        peak_bytes=peak,
    )


def _peak_bytes(bundle: Bundle, plan: Plan, cell: _Cell) -> int | None:
    if not _STATUS.exists():
        return None
    asked = {
        "bundle": str(bundle.path),
        "plan": asdict(plan)
        | {"runtimes": [cell.session.name], "batches": [cell.batch]},
    }
    done = subprocess.run(  # noqa: S603 - this interpreter, this module
        [sys.executable, "-m", "anomedge.benchmark", json.dumps(asked)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = (
            done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        )[-1]
        raise RuntimeFailure(
            f"{cell.session.name} at batch {cell.batch} failed in a process of its own: {reason}"
        )
    return int(done.stdout)


def _run_alone(asked: dict[str, Any]) -> int:
    """In a process of its own: open, run, and say how high the resident memory got, in bytes."""
    bundle, plan = Bundle.open(asked["bundle"]), Plan(**asked["plan"])
    with plan.open(bundle, plan.runtimes[0]) as session:
        frames = _frames(bundle, plan.batches[0])
        for _ in range(_CALLS):
            session.run({"frames": frames})
    kibibytes = next(
        line.split()[1]
        for line in _STATUS.read_text().splitlines()
        if line.startswith("VmHWM")
    )
    return int(kibibytes) * 1024


def ratios(timings: Sequence[Timing]) -> list[float]:
    """Each cell's milliseconds a frame over those of the first."""
    first = timings[0].median / timings[0].batch
    return [timing.median / timing.batch / first for timing in timings]


if __name__ == "__main__":
    sys.stdout.write(f"{_run_alone(json.loads(sys.argv[1]))}\n")
