"""Budget of a graph: file sizes, memory, work and minimum time on a device."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from anomedge.budget.device import Device
from anomedge.budget.files import file_sizes
from anomedge.budget.memory import Memory, memory_of
from anomedge.budget.network import Network
from anomedge.budget.stages import StageCost, stage_costs

__all__ = ["PARTS", "Budget", "budget_of", "part_of"]

PARTS = ("preprocessing", "backbone", "distances", "map and score")


@dataclass(frozen=True)
class Budget:
    """File sizes, memory and work of a graph for one frame and batch size."""

    frame: tuple[int, int]
    batch: int
    files: dict[str, int]
    memory: Memory
    stages: tuple[StageCost, ...]

    def milliseconds(self, device: Device) -> float:
        """Return the minimum time per frame.

        Stages run one after the other, each at the peak of the device.
        """
        return sum(self.shares(device).values())

    def shares(self, device: Device) -> dict[str, float]:
        """Return the milliseconds per frame of each part of the graph."""
        parts = dict.fromkeys(PARTS, 0.0)
        for stage in self.stages:
            seconds = device.seconds(stage.flops, stage.bytes)
            parts[part_of(stage.name)] += seconds * 1000 / self.batch
        return parts

    def without_cache(self, device: Device) -> float:
        """Return the minimum time per frame if no value stays in a cache."""
        seconds = [
            device.seconds(stage.flops, stage.bytes + stage.within)
            for stage in self.stages
        ]
        return sum(seconds) * 1000 / self.batch

    def to_json(self, device: Device) -> dict[str, Any]:
        """Return all figures, in bytes, operations and milliseconds."""
        memory = asdict(self.memory) | {
            "running": self.memory.running,
            "peak": self.memory.peak,
        }
        memory["largest"] = [
            {"shape": o.shape, "bytes": o.bytes, "name": o.name}
            for o in self.memory.largest
        ]
        return {
            "frame": self.frame,
            "batch": self.batch,
            "files": self.files | {"all": sum(self.files.values())},
            "memory": memory,
            "stages": [self._row(stage, device) for stage in self.stages],
            "milliseconds": self.milliseconds(device),
            "milliseconds_without_cache": self.without_cache(device),
        }

    def _row(self, stage: StageCost, device: Device) -> dict[str, Any]:
        seconds = device.seconds(stage.flops, stage.bytes)
        return asdict(stage) | {
            "bytes": stage.bytes,
            "milliseconds": seconds * 1000 / self.batch,
            "held_by": device.held_by(stage.flops, stage.bytes),
        }


def budget_of(network: Network, frame: tuple[int, int], batch: int) -> Budget:
    """Compute the budget of a graph for frames (height, width) and a batch."""
    return Budget(
        frame=frame,
        batch=batch,
        files=file_sizes(network, frame, batch),
        memory=memory_of(network),
        stages=tuple(stage_costs(network)),
    )


def part_of(stage: str) -> str:
    """Return the part of a detector that a stage belongs to.

    >>> part_of("features/layer2")
    'backbone'
    """
    if stage == "preprocessed":
        return PARTS[0]
    if stage.startswith("features/"):
        return PARTS[1]
    return PARTS[3] if stage in {"anomaly_map", "score"} else PARTS[2]
