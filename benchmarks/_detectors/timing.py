"""Time the bundle of an imported model beside anomalib's own export of the same weights, in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from _against.files import floats
from _against.sessions import open_graph

Run = Callable[[], Any]
Frames = npt.NDArray[np.uint8]
WARM = 3


def in_turns(
    runtime: str,
    files: dict[str, Path],
    frames: Frames,
    threads: int,
    rounds: int,
) -> dict[str, float]:
    """Return milliseconds of both files under a runtime, and the median ratio of the rounds.

    Args:
        runtime: name of the runtime.
        files: the graphs of both sides, `ours` and `theirs`.
        frames: uint8 (1, H, W, 3) of the model's size.
        threads: threads of each session.
        rounds: rounds; in each of them both files run once.
    """
    feeds = {"ours": {"frames": frames}, "theirs": {"input": floats(frames)}}
    calls = {
        side: _call(runtime, files[side], feed, threads)
        for side, feed in feeds.items()
    }
    taken: dict[str, list[float]] = {side: [] for side in calls}
    for turn in range(rounds + WARM):
        for side, call in calls.items():
            start = time.perf_counter()
            call()
            if turn >= WARM:
                taken[side].append(time.perf_counter() - start)
    pairs = zip(taken["theirs"], taken["ours"], strict=True)
    return {
        "ours": 1e3 * statistics.median(taken["ours"]),
        "theirs": 1e3 * statistics.median(taken["theirs"]),
        "ratio": statistics.median(theirs / ours for theirs, ours in pairs),
    }


def outputs_of(
    path: Path, frames: Frames, threads: int
) -> dict[str, npt.NDArray[Any]]:
    """Return the outputs of anomalib's ONNX file."""
    session = open_graph("onnxruntime", path, threads)
    return session({"input": floats(frames)})


def _call(runtime: str, path: Path, feed: dict[str, Any], threads: int) -> Run:
    session = open_graph(runtime, path, threads)
    return lambda: session(feed)
