"""The work of each stage: arithmetic, and the bytes that any runtime must move for it.

Those are the constants, each once, and the values that cross from one stage into another. What stays within a stage may
stay in a cache, so it is told apart: with it, the sum is what a device without one moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from anomedge.budget.network import Network, Operation

__all__ = ["StageCost", "stage_costs"]


@dataclass(frozen=True)
class StageCost:
    """What one stage takes, for a whole batch.

    Attributes:
        shape: of the value that ends it.
        flops: multiplications and additions of its products and convolutions.
        weights: bytes of the constants that it is the first to read.
        moved: bytes of the values that it takes over from other stages, and of those that it hands on.
        within: bytes that its own nodes write and read besides.
    """

    name: str
    shape: tuple[int, ...]
    flops: int
    weights: int
    moved: int
    within: int

    @property
    def bytes(self) -> int:
        """What any runtime must read and write."""
        return self.weights + self.moved


def stage_costs(network: Network) -> list[StageCost]:
    """What each stage takes; an operation belongs to the first stage that needs it."""
    made_in = _stages_of(network)
    sizes = {
        **network.inputs,
        **{operation.name: operation.bytes for operation in network.operations},
    }
    shapes = {
        operation.name: operation.shape for operation in network.operations
    }
    unread = dict(network.constants)
    costs = []
    for name, result in network.stages.items():
        own = [
            operation
            for operation in network.operations
            if made_in.get(operation.name) == name
        ]
        others = [
            operation
            for operation in network.operations
            if made_in.get(operation.name, name) != name
        ]
        whole = {
            read
            for operation in own
            if operation.kind != "lookup"
            for read in operation.reads
        }
        moved = _taken_over(own, sizes) + _handed_on(own, others, result)
        costs.append(
            StageCost(
                name=name,
                shape=shapes.get(result, ()),
                flops=sum(operation.flops for operation in own),
                weights=sum(
                    unread.pop(read) for read in sorted(whole & unread.keys())
                ),
                moved=moved,
                within=max(0, _passed(own, sizes) - moved),
            )
        )
    return costs


def _stages_of(network: Network) -> dict[str, str]:
    """The stage of each operation that some stage needs."""
    by_name = {operation.name: operation for operation in network.operations}
    made_in: dict[str, str] = {}
    for stage, result in network.stages.items():
        waiting = [result]
        while waiting:
            name = waiting.pop()
            if name in by_name and name not in made_in:
                made_in[name] = stage
                waiting += by_name[name].reads
    return made_in


def _taken_over(own: Sequence[Operation], sizes: Mapping[str, int]) -> int:
    """Bytes of the inputs and of other stages' values that these operations read."""
    names = {operation.name for operation in own}
    return sum(
        sizes[name]
        for name in {read for o in own for read in o.reads if read in sizes}
        - names
    )


def _handed_on(
    own: Sequence[Operation], others: Sequence[Operation], result: str
) -> int:
    """Bytes of what other stages read of these operations, and of the stage's own result."""
    wanted = {read for operation in others for read in operation.reads} | {
        result
    }
    return sum(operation.bytes for operation in own if operation.name in wanted)


def _passed(own: Iterable[Operation], sizes: Mapping[str, int]) -> int:
    """Bytes of values written and read; what overwrites its operand is done while that is written."""
    total = 0
    for operation in own:
        read = sorted(
            (sizes[name] for name in operation.reads if name in sizes),
            reverse=True,
        )
        if operation.kind == "overwriting":
            total += sum(read[1:])
        elif operation.kind != "view":
            total += operation.bytes + sum(read)
    return total
