"""Lower bound of the time of a graph: its operations and bytes, divided by the measured peak rates.

t = sum over stages of max(operations / products a second, bytes / bytes copied a second) + bytes to the device / rate there

Operations and bytes are those of `anomedge.budget`: products and convolutions; constants once, and the values that cross
from one stage into another. In fp16 the backbone alone is halved, in operands and in bytes. (Williams, Waterman, Patterson:
Roofline, CACM 52(4), 2009, per stage.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Part", "limit", "parts_of"]

_BACKBONE = "features/"


@dataclass(frozen=True)
class Part:
    """Operations and bytes of a stage, for a whole batch."""

    name: str
    flops: int
    bytes: int


def parts_of(
    model: Path, frame: tuple[int, int], batches: Sequence[int]
) -> dict[int, list[Part]]:
    """Return the stages of a model's graph by batch size; the graph is traced, not run."""
    from anomedge.budget import stage_costs
    from anomedge.budget.tracing import network_of
    from anomedge.pipelines.model import load

    loaded = load(model)
    return {
        batch: [
            Part(cost.name, cost.flops, cost.bytes)
            for cost in stage_costs(network_of(loaded, frame, batch))
        ]
        for batch in batches
    }


def limit(
    parts: Sequence[Part],
    frame_bytes: int,
    precision: str,
    ceilings: dict[str, Any],
) -> float | None:
    """Return the lower bound in milliseconds; None if a ceiling is unknown.

    >>> parts = [Part("preprocessed", 1000, 50), Part("features/1", 8000, 100), Part("score", 0, 10)]
    >>> limit(parts, 0, "fp32", {"flops": {"fp32": 1e6}, "bytes": 1e5, "to_device": None})
    9.1
    >>> limit(parts, 0, "fp16", {"flops": {"fp32": 1e6, "fp16": 4e6}, "bytes": 1e5, "to_device": None})
    3.1
    """
    flops, rate = ceilings["flops"], ceilings["bytes"]
    if precision not in flops or "fp32" not in flops or not rate:
        return None
    seconds = 0.0
    for part in parts:
        halved = precision == "fp16" and part.name.startswith(_BACKBONE)
        peak = flops[
            "fp32" if precision == "fp16" and not halved else precision
        ]
        seconds += max(
            part.flops / peak, part.bytes / (2 if halved else 1) / rate
        )
    if ceilings["to_device"]:
        seconds += frame_bytes / ceilings["to_device"]
    return round(seconds * 1000, 6)
