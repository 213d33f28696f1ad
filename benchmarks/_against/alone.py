"""Open one graph in a separate process; measure load time, bytes and peak resident memory."""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from typing import Any

from _against.files import bytes_of, feed_of, frames_of, graph_of
from _against.sessions import open_graph

CALLS = 2


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Open the graph, run it once and return the measurements."""
    work, batch, member = Path(asked["work"]), asked["batch"], asked["member"]
    path = graph_of(member, work, asked["case"], batch, asked["runtime"])
    feed = feed_of(member, frames_of(work, batch))
    importlib.import_module(asked["runtime"])  # its own time is not the graph's
    start = time.perf_counter()
    call = open_graph(asked["runtime"], path, asked["threads"])
    seconds = time.perf_counter() - start
    for _ in range(CALLS):
        call(feed)
    return {
        "load_seconds": seconds,
        "peak_bytes": _peak_bytes(),
        "bytes": bytes_of(path),
    }


def _peak_bytes() -> int | None:
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    kibibytes = next(
        line.split()[1]
        for line in status.read_text().splitlines()
        if line.startswith("VmHWM")
    )
    return int(kibibytes) * 1024
