"""Budget of a graph before it runs: work, file sizes, memory, minimum time."""

from anomedge.budget.device import Device, Figure, available, load
from anomedge.budget.memory import Memory, memory_of
from anomedge.budget.network import Network, Operation
from anomedge.budget.stages import StageCost, stage_costs

__all__ = [
    "Device",
    "Figure",
    "Memory",
    "Network",
    "Operation",
    "StageCost",
    "available",
    "load",
    "memory_of",
    "stage_costs",
]
