"""Measure latency, throughput and memory of runtimes and batch sizes.

Clock, other jobs and caches of a machine change from second to second, so the
cells take turns within one process: each gets a few calls per round, in an order
that rotates. The first call of a turn is not counted, because it still pays for
the cell before it. Peak memory is that of a separate process.
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
import numpy.typing as npt

from anomedge.bundle import Bundle
from anomedge.errors import InputError, RuntimeFailure
from anomedge.parity.golden import read_golden
from anomedge.parity.pictures import synthetic
from anomedge.parity.plan import Plan
from anomedge.progress import track
from anomedge.resample.outside_resize import OutsideResize, generated_size
from anomedge.runtimes import Session
from anomedge.runtimes.own_process import command_of

__all__ = ["ResizeTiming", "Timing", "measure", "ratios"]

_CALLS = 3
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class ResizeTiming:
    """Median milliseconds to resize a picture of this height and width."""

    height: int
    width: int
    milliseconds: float


@dataclass(frozen=True)
class Timing:
    """Figures of one cell: one runtime at one batch size.

    Attributes:
        median, p95: milliseconds per call, over `calls` counted calls.
        throughput: frames per second, over all counted calls.
        open_milliseconds: time to open a session of a checked bundle.
        peak_bytes: peak resident memory of a process that opens the bundle and
            runs a few calls; None if not measured or not known to the system.
        resize: for a bundle that takes pictures of any size, the resize of its
            largest golden picture before the graph; the other figures exclude it.
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
    resize: ResizeTiming | None = None


@dataclass
class _Cell:
    """A session at one batch size, with its measurements so far."""

    session: Session
    batch: int
    frames: npt.NDArray[Any]
    open_milliseconds: float
    milliseconds: list[float]


def measure(
    bundle: Bundle, plan: Plan, rounds: int = 20, *, memory: bool = True
) -> list[Timing]:
    """Measure every runtime of a plan at every batch size.

    Args:
        bundle: an opened bundle.
        plan: runtimes, batch sizes, device and precision.
        rounds: number of rounds; each cell gets three counted calls per round.
        memory: whether to measure peak memory, in one more process per cell.

    Raises:
        InputError: no runtime, batch size or round.
        RuntimeMissing, DeviceMismatch, RuntimeFailure: see `anomedge.errors`.
    """
    if not plan.runtimes or not plan.batches or rounds < 1:
        raise InputError(
            "got no runtime, batch size or round; expected at least one of "
            "each: nothing would be measured"
        )
    with ExitStack() as stack:
        cells = []
        for name in plan.runtimes:
            for batch in plan.batches:
                cells.append(_open_cell(stack, bundle, plan, name, batch))
        for turn in track(range(rounds), "measuring in turns", total=rounds):
            start = turn % len(cells)
            for cell in cells[start:] + cells[:start]:
                _take_turn(cell)
        timings, resize = [], _time_resize(bundle, rounds)
        for cell in cells:
            peak = _peak_bytes(bundle, plan, cell) if memory else None
            timings.append(_timing(cell, plan, peak, resize))
        return timings


def _open_cell(
    stack: ExitStack, bundle: Bundle, plan: Plan, runtime: str, batch: int
) -> _Cell:
    start = time.perf_counter()
    session = stack.enter_context(plan.open(bundle, runtime))
    milliseconds = (time.perf_counter() - start) * 1000
    return _Cell(session, batch, _frames(bundle, batch), milliseconds, [])


def _frames(bundle: Bundle, batch: int) -> npt.NDArray[Any]:
    framing = bundle.manifest.framing
    pictures = synthetic(generated_size(framing), count=min(batch, 4))
    frames = [picture.frame(framing) for picture in pictures]
    return np.stack([frames[i % len(frames)] for i in range(batch)])


def _time_resize(bundle: Bundle, rounds: int) -> ResizeTiming | None:
    """Time the resize outside the graph; None if the graph takes frames as they are."""
    resize = bundle.manifest.framing
    if not isinstance(resize, OutsideResize):
        return None
    pictures = read_golden(bundle).pictures if bundle.manifest.golden else ()
    own = [p for p in pictures if p.generated is None]
    frames = [
        picture.frame()
        for picture in own or synthetic(generated_size(resize), 1)
    ]
    largest = max(frames, key=lambda frame: frame.size)
    milliseconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        resize.apply(largest)
        milliseconds.append((time.perf_counter() - start) * 1000)
    height, width, _ = largest.shape
    # The first call computes the weights.
    return ResizeTiming(height, width, float(np.median(milliseconds[1:])))


def _take_turn(cell: _Cell) -> None:
    cell.session.run({"frames": cell.frames})
    for _ in range(_CALLS):
        start = time.perf_counter()
        cell.session.run({"frames": cell.frames})
        cell.milliseconds.append((time.perf_counter() - start) * 1000)


def _timing(
    cell: _Cell, plan: Plan, peak: int | None, resize: ResizeTiming | None
) -> Timing:
    frames = cell.batch * len(cell.milliseconds)
    return Timing(
        runtime=cell.session.name,
        version=cell.session.version,
        running_on=cell.session.running_on,
        precision=plan.precision,
        batch=cell.batch,
        calls=len(cell.milliseconds),
        median=float(np.median(cell.milliseconds)),
        p95=float(np.percentile(cell.milliseconds, 95)),
        throughput=1000 * frames / sum(cell.milliseconds),
        open_milliseconds=cell.open_milliseconds,
        peak_bytes=peak,
        resize=resize,
    )


def _peak_bytes(bundle: Bundle, plan: Plan, cell: _Cell) -> int | None:
    if not _STATUS.exists():
        return None
    own = {"runtimes": [cell.session.name], "batches": [cell.batch]}
    request = {"bundle": str(bundle.path), "plan": asdict(plan) | own}
    done = subprocess.run(  # noqa: S603 - this interpreter, this module
        command_of("anomedge.benchmark", json.dumps(request)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        reason = lines[-1] if lines else f"exit code {done.returncode}"
        raise RuntimeFailure(
            f"{cell.session.name} at batch {cell.batch} failed in a process "
            f"of its own: {reason}"
        )
    return int(done.stdout)


def _measure_peak(request: dict[str, Any]) -> int:
    """Open and run in this process; return its peak resident memory in bytes."""
    bundle, plan = Bundle.open(request["bundle"]), Plan(**request["plan"])
    with plan.open(bundle, plan.runtimes[0]) as session:
        frames = _frames(bundle, plan.batches[0])
        for _ in range(_CALLS):
            session.run({"frames": frames})
    for line in _STATUS.read_text().splitlines():
        if line.startswith("VmHWM"):
            kibibytes = int(line.split()[1])
            return kibibytes * 1024
    raise RuntimeFailure(
        f"{_STATUS} states no VmHWM; expected the peak memory: use --no-memory"
    )


def ratios(timings: Sequence[Timing]) -> list[float]:
    """Return milliseconds per frame, relative to the first cell."""
    first = timings[0].median / timings[0].batch
    return [timing.median / timing.batch / first for timing in timings]


if __name__ == "__main__":
    sys.stdout.write(f"{_measure_peak(json.loads(sys.argv[1]))}\n")
