"""Arithmetic and memory traffic of each stage of a graph.

Traffic that any runtime must move are the constants, once each, and the values
that cross from one stage to another. Values within a stage may stay in a cache;
they are counted separately, for devices without one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from anomedge.budget.network import Network, Operation

__all__ = ["StageCost", "stage_costs"]


@dataclass(frozen=True)
class StageCost:
    """Cost of one stage, for a whole batch.

    Attributes:
        name: of the stage.
        shape: of the value that ends the stage.
        flops: multiplications and additions of its products and convolutions.
        weights: bytes of the constants that no earlier stage reads.
        moved: bytes of the values read from and passed to other stages.
        within: bytes that its operations write and read besides.
    """

    name: str
    shape: tuple[int, ...]
    flops: int
    weights: int
    moved: int
    within: int

    @property
    def bytes(self) -> int:
        """Bytes that any runtime must read and write."""
        return self.weights + self.moved


def stage_costs(network: Network) -> list[StageCost]:
    """Compute the cost of each stage, in order.

    An operation belongs to the first stage that needs it.
    """
    stage_of = _stages_of_operations(network)
    sizes = dict(network.inputs)
    shapes = {}
    for operation in network.operations:
        sizes[operation.name] = operation.bytes
        shapes[operation.name] = operation.shape
    unread = dict(network.constants)
    costs = []
    for name, result in network.stages.items():
        own, others = _split(network, stage_of, name)
        moved = _bytes_read(own, sizes) + _bytes_passed(own, others, result)
        costs.append(
            StageCost(
                name=name,
                shape=shapes.get(result, ()),
                flops=sum(operation.flops for operation in own),
                weights=_take_weights(own, unread),
                moved=moved,
                within=max(0, _traffic(own, sizes) - moved),
            )
        )
    return costs


def _stages_of_operations(network: Network) -> dict[str, str]:
    """Return the stage of each operation that a stage needs."""
    by_name = {operation.name: operation for operation in network.operations}
    stage_of: dict[str, str] = {}
    for stage, result in network.stages.items():
        pending = [result]
        while pending:
            name = pending.pop()
            if name in by_name and name not in stage_of:
                stage_of[name] = stage
                pending += by_name[name].reads
    return stage_of


def _split(
    network: Network, stage_of: Mapping[str, str], stage: str
) -> tuple[list[Operation], list[Operation]]:
    """Return the operations of a stage, and those of all other stages."""
    own, others = [], []
    for operation in network.operations:
        owner = stage_of.get(operation.name)
        if owner == stage:
            own.append(operation)
        elif owner is not None:
            others.append(operation)
    return own, others


def _take_weights(own: Iterable[Operation], unread: dict[str, int]) -> int:
    """Remove the constants that are read whole; return their bytes."""
    total = 0
    for operation in own:
        if operation.kind != "lookup":
            for name in operation.reads:
                total += unread.pop(name, 0)
    return total


def _bytes_read(own: Sequence[Operation], sizes: Mapping[str, int]) -> int:
    """Return the bytes of the inputs and values read from other stages."""
    names = {operation.name for operation in own}
    read = {name for operation in own for name in operation.reads}
    return sum(sizes[name] for name in read - names if name in sizes)


def _bytes_passed(
    own: Sequence[Operation], others: Sequence[Operation], result: str
) -> int:
    """Return the bytes of the result and of values other stages read."""
    wanted = {read for operation in others for read in operation.reads}
    wanted.add(result)
    return sum(operation.bytes for operation in own if operation.name in wanted)


def _traffic(own: Iterable[Operation], sizes: Mapping[str, int]) -> int:
    """Return the bytes of the values written and read.

    An operation that overwrites its largest operand moves only the others: the
    operand is written by its producer and changed while it is in the cache.
    """
    total = 0
    for operation in own:
        read = [sizes[name] for name in operation.reads if name in sizes]
        read.sort(reverse=True)
        if operation.kind == "overwriting":
            total += sum(read[1:])
        elif operation.kind != "view":
            total += operation.bytes + sum(read)
    return total
