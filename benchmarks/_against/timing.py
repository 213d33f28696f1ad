"""Time our graph, anomalib's, the backbone and the rest of the limit in turns within one process.

Clock rates and other jobs vary from second to second, so compared calls are timed within one round, in rotating order. A
short call follows an uncounted one, which absorbs the effects of its neighbour on caches and threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _against.files import (
    PATCHES,
    Array,
    feed_of,
    frames_of,
    graph_of,
    split,
)
from _against.sessions import open_graph

MEMBERS = ("ours", "theirs", "backbone", "part")
SHORT = 0.15  # seconds a call
CALLS = 3
LEAST_ROUNDS = 3
ROWS, FEATURES, COLUMNS = 1024, 1536, 10_000
"""Of the one large product: x (ROWS, FEATURES) by constant weights."""


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the milliseconds of each member, per round."""
    members = _members(asked, Path(asked["work"]))
    # The measurement also makes the slower first call.
    short = {name: _seconds(call) < SHORT for name, call in members.items()}
    rounds: dict[str, list[float]] = {name: [] for name in members}
    start = time.perf_counter()
    for turn in range(asked["rounds"]):
        if (
            turn >= LEAST_ROUNDS
            and time.perf_counter() - start > asked["seconds"]
        ):
            break
        first = turn % len(MEMBERS)
        for name in MEMBERS[first:] + MEMBERS[:first]:
            rounds[name].append(1000 * _turn(members[name], short[name]))
    scale = share_of_product(asked["case"], asked["batch"])
    rounds["part"] = [value * scale for value in rounds["part"]]
    return {"rounds": rounds}


def share_of_product(case: str, batch: int) -> float:
    """Return the size of the full product of patches and bank, relative to the timed product; 1 for PaDiM.

    >>> share_of_product("patchcore-20000", batch=8)
    16.0
    >>> share_of_product("patchcore-20000.int8-search", batch=8)
    16.0
    """
    fitted, _ = split(case)
    if fitted == "padim":
        return 1.0
    vectors = int(fitted.split("-")[1])
    return batch * PATCHES * vectors / (ROWS * COLUMNS)


def _members(asked: dict[str, Any], work: Path) -> dict[str, Callable[[], Any]]:
    frames = frames_of(work, asked["batch"])
    feeds = {name: feed_of(name, frames) for name in MEMBERS[:3]} | {
        "part": {"x": _numbers(asked["case"])}
    }
    calls = {}
    for name in MEMBERS:
        path = graph_of(
            name, work, asked["case"], asked["batch"], asked["runtime"]
        )
        calls[name] = open_graph(asked["runtime"], path, asked["threads"])
    return {
        name: lambda name=name: calls[name](feeds[name]) for name in MEMBERS
    }


def shape_of_part(case: str) -> tuple[int, int]:
    """Return the input shape of the rest of the limit: PaDiM's statistics, or the patches of one product."""
    return (4096, 100 * 100) if case.startswith("padim") else (ROWS, FEATURES)


def _numbers(case: str) -> Array:
    return np.random.default_rng(0).standard_normal(
        shape_of_part(case), dtype=np.float32
    )


def _turn(call: Callable[[], Any], short: bool) -> float:
    if not short:
        return _seconds(call)
    call()
    return float(np.median([_seconds(call) for _ in range(CALLS)]))


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
