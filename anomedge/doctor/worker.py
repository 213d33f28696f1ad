"""The process of one probe or one opening: `python -m anomedge.doctor.worker probe NAME`, or `open JSON`.

It prints one JSON record per line as soon as it is known, so that a crash loses nothing that came before it.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from anomedge import runtimes
from anomedge.doctor import PROBES
from anomedge.errors import AnomedgeError

__all__ = ["main"]

_CALLS = 5
_SECONDS = 3.0


def main(arguments: list[str]) -> None:
    """Answer one question on standard output."""
    warnings.simplefilter("ignore")
    kind, subject = arguments
    if kind == "probe":
        for finding in PROBES.get(subject).look():
            _tell(asdict(finding))
        return
    _tell(_opened(json.loads(subject)))


def _tell(record: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"doctor": record}) + "\n")
    sys.stdout.flush()


def _opened(request: dict[str, Any]) -> dict[str, Any]:
    """Open a graph under a runtime and time some calls; an error is part of the answer."""
    try:
        start = time.perf_counter()
        with runtimes.open(
            Path(request["source"]),
            request["runtime"],
            request["device"],
            precision=request["precision"],
        ) as session:
            opened = time.perf_counter() - start
            return {
                "version": session.version,
                "running_on": session.running_on,
                "open_milliseconds": 1000 * opened,
                "milliseconds": _milliseconds(session),
            }
    except AnomedgeError as error:
        return {"error": str(error)}


def _milliseconds(session: runtimes.Session) -> float:
    """Return the median time of a frame in few calls of the smallest batch, after a first call that is not counted."""
    feed = {
        name: np.zeros([size or 1 for size in spec.shape], spec.dtype)
        for name, spec in session.inputs.items()
    }
    batch = len(next(iter(feed.values())))
    session.run(feed)
    times: list[float] = []
    while len(times) < _CALLS and sum(times) < _SECONDS:
        start = time.perf_counter()
        session.run(feed)
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times)) / batch


if __name__ == "__main__":
    main(sys.argv[1:])
