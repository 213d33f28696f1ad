"""Measurements: cells take turns, the first call of a turn does not count, and figures follow from the rest."""

from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest

from anomedge import benchmark
from anomedge.benchmark import Timing, measure, ratios
from anomedge.errors import InputError, RuntimeFailure
from anomedge.parity.plan import Plan

TIMING = Timing(
    runtime="a",
    version="1",
    running_on="CPU",
    precision="fp32",
    batch=1,
    calls=3,
    median=4.0,
    p95=6.0,
    throughput=250.0,
    open_milliseconds=1.0,
)
BUNDLE = SimpleNamespace(
    path="part.anomedge",
    manifest=SimpleNamespace(framing=(8, 12), golden=()),
)


class Clock:
    """A clock that only sessions move; the first call of a turn takes 9 s, the others 2, 4 and 6 ms."""

    def __init__(self, monkeypatch):
        self.now, self.turns = 0.0, []
        monkeypatch.setattr(
            benchmark, "time", SimpleNamespace(perf_counter=lambda: self.now)
        )

    @contextmanager
    def session(self, runtime):
        self.now += 0.5
        yield Session(runtime, self)


@dataclass
class Session:
    name: str
    clock: Clock
    version: str = "1"
    running_on: str = "CPU"
    calls: int = 0

    def run(self, feeds):
        frames = feeds["frames"]
        assert frames.dtype == np.uint8
        assert frames.shape[1:] == (8, 12, 3)
        place = self.calls % 4
        self.calls += 1
        if place == 0:
            self.clock.turns.append((self.name, len(frames)))
        self.clock.now += (9.0, 0.002, 0.004, 0.006)[place]


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def plan(clock, runtimes=("a", "b"), batches=(1,)):
    return SimpleNamespace(
        runtimes=runtimes,
        batches=batches,
        precision="fp32",
        open=lambda bundle, name: clock.session(name),
    )


def test_only_the_later_calls_of_a_turn_count(clock):
    (found,) = measure(BUNDLE, plan(clock, ["a"], [5]), rounds=1, memory=False)
    assert (found.runtime, found.batch, found.calls) == ("a", 5, 3)
    assert found.median == pytest.approx(4)
    assert found.p95 == pytest.approx(5.8)
    # 15 frames in 12 ms.
    assert found.throughput == pytest.approx(1250)
    assert found.open_milliseconds == pytest.approx(500)
    assert found.peak_bytes is None
    assert found.resize is None


def test_the_cells_take_turns_in_an_order_that_rotates(clock):
    timings = measure(
        BUNDLE, plan(clock, ["a", "b"], [1, 2]), rounds=2, memory=False
    )
    cells = [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    assert clock.turns == [*cells, *cells[1:], cells[0]]
    assert [(each.runtime, each.batch) for each in timings] == cells
    assert {each.calls for each in timings} == {6}


@pytest.mark.parametrize(
    ("given", "rounds"),
    [(([], [1]), 1), ((["a"], []), 1), ((["a"], [1]), 0)],
)
def test_nothing_to_measure_is_refused(clock, given, rounds):
    with pytest.raises(InputError, match="nothing would be measured"):
        measure(BUNDLE, plan(clock, *given), rounds)


def test_ratios_are_of_milliseconds_per_frame():
    timings = [
        replace(TIMING, batch=2, median=8.0),
        replace(TIMING, batch=4, median=8.0),
        replace(TIMING, batch=1, median=6.0),
    ]
    assert ratios(timings) == pytest.approx([1, 0.5, 1.5])


@pytest.mark.parametrize(
    ("error", "reason"),
    [("Traceback\nRuntimeFailure: no memory\n", "RuntimeFailure: no memory"), ("", "exit code 9")],
)  # fmt: skip
def test_a_process_that_fails_is_named_with_its_reason(
    clock, monkeypatch, error, reason
):
    monkeypatch.setattr(
        benchmark.subprocess,
        "run",
        lambda *_, **__: SimpleNamespace(returncode=9, stderr=error),
    )
    cell = SimpleNamespace(session=Session("a", clock), batch=8)
    with pytest.raises(RuntimeFailure) as failure:
        benchmark._peak_bytes(BUNDLE, Plan(["a"], [8]), cell)
    assert str(failure.value) == (
        f"a at batch 8 failed in a process of its own: {reason}"
    )


def test_memory_is_unknown_without_proc(clock, monkeypatch, tmp_path):
    monkeypatch.setattr(benchmark, "_STATUS", tmp_path / "status")
    cell = SimpleNamespace(session=Session("a", clock), batch=8)
    assert benchmark._peak_bytes(BUNDLE, Plan(["a"], [8]), cell) is None
