"""Time the bundle of an imported model beside anomalib's own export of the same weights, in turns.

Two sessions of one file differ by up to 2 %, all their lives, because their memory lies elsewhere. Therefore both files
are opened again after a part of the rounds, and the interval of the ratio comes from the differences between these
blocks: a ratio of 0.98 of one pair of sessions says nothing.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from _against.files import floats
from _against.sessions import open_graph

Run = Callable[[], Any]
Frames = npt.NDArray[np.uint8]
Times = dict[str, list[float]]
SIDES = ("ours", "theirs")
BLOCKS = 10
"""Pairs of sessions."""
WARM = 5
_DRAWS = 2000
_OUTSIDE = 2.5
"""Percentage of the draws on each side of the interval."""


def in_turns(
    runtime: str,
    files: dict[str, Path],
    frames: Frames,
    threads: int,
    rounds: int,
) -> dict[str, Any]:
    """Return what `measured` does for one thread and for a number of threads, by that number.

    Args:
        runtime: name of the runtime.
        files: the graphs of both sides, `ours` and `theirs`.
        frames: uint8 (1, H, W, 3) of the model's size.
        threads: threads of each session.
        rounds: rounds; in each of them both files run once.
    """
    return {
        str(count): measured(runtime, files, frames, count, rounds)
        for count in sorted({1, threads})
    }


def measured(
    runtime: str,
    files: dict[str, Path],
    frames: Frames,
    threads: int,
    rounds: int,
) -> dict[str, Any]:
    """Return milliseconds of both sides, and the ratio of anomalib's time to ours with its 95 % interval.

    One thread is measured in processor time, which other processes hardly change; more threads by the clock.
    """
    feeds = {"ours": {"frames": frames}, "theirs": {"input": floats(frames)}}
    clock = time.process_time if threads == 1 else time.perf_counter
    blocks = []
    for _ in range(BLOCKS):
        calls = {
            side: _call(runtime, files[side], feeds[side], threads)
            for side in SIDES
        }
        blocks.append(_block(calls, clock, -(-rounds // BLOCKS)))
    low, high = interval(blocks)
    return {
        side: 1e3
        * statistics.median(t for block in blocks for t in block[side])
        for side in SIDES
    } | {"ratio": ratio(blocks), "low": low, "high": high}


def _block(
    calls: dict[str, Run], clock: Callable[[], float], rounds: int
) -> Times:
    """Return seconds of each call by side; the order is reversed from round to round."""
    taken: Times = {side: [] for side in calls}
    order = list(calls)
    for turn in range(rounds + WARM):
        order.reverse()
        for side in order:
            start = clock()
            calls[side]()
            if turn >= WARM:
                taken[side].append(clock() - start)
    return taken


def ratio(blocks: Sequence[Times]) -> float:
    """Return the median over all rounds of anomalib's time divided by ours."""
    return float(np.median(np.concatenate(_ratios(blocks))))


def interval(blocks: Sequence[Times]) -> tuple[float, float]:
    """Return the 95 % interval of the ratio: blocks are drawn with replacement."""
    ratios = _ratios(blocks)
    draw = np.random.default_rng(0)
    medians = [
        np.median(np.concatenate([ratios[place] for place in places]))
        for places in draw.integers(len(ratios), size=(_DRAWS, len(ratios)))
    ]
    low, high = np.percentile(medians, (_OUTSIDE, 100 - _OUTSIDE))
    return float(low), float(high)


def _ratios(blocks: Sequence[Times]) -> list[npt.NDArray[np.float64]]:
    return [
        np.divide(block["theirs"], block["ours"], dtype=np.float64)
        for block in blocks
    ]


def outputs_of(
    path: Path, frames: Frames, threads: int
) -> dict[str, npt.NDArray[Any]]:
    """Return the outputs of anomalib's ONNX file."""
    session = open_graph("onnxruntime", path, threads)
    return session({"input": floats(frames)})


def _call(runtime: str, path: Path, feed: dict[str, Any], threads: int) -> Run:
    session = open_graph(runtime, path, threads)
    return lambda: session(feed)
