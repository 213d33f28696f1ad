"""Memory of a graph during opening and running under ONNX Runtime's CPU provider.

Live values follow from the graph. Measurements give the rest: constants of
convolutions and products are copied into other layouts, some exist twice while
the file is opened, values come from an arena that returns no memory
(`anomedge.budget.arena`), and malloc keeps memory freed after opening.
tests/budget/test_tracing.py repeats the measurement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from anomedge.budget.arena import Arena, planned
from anomedge.budget.network import Kind, Network, Operation

__all__ = ["Life", "Memory", "lives", "memory_of"]

_PROTOBUF_LIMIT = 2**31 - 1
_KEPT_BELOW = 32 << 20
"""Freed blocks below this size stay with the process: the maximum of glibc's dynamic mmap threshold."""

_COPIES_PARSED = 3
"""Copies of the file while it is parsed: the bytes, those of the parser's argument, and the parsed graph."""

_SESSION = 5_000_000
"""Bytes of a session itself after its first run; measured 4 to 6 MB for graphs of 80 to 500 nodes."""


@dataclass(frozen=True)
class Life:
    """Lifetime of a buffer.

    Attributes:
        operation: allocates the buffer.
        made, last: positions of that operation and of the last reader.
    """

    operation: Operation
    made: int
    last: int


@dataclass(frozen=True)
class Memory:
    """Memory of a process, in bytes more than with an empty graph.

    Attributes:
        constants: of the graph.
        copies: of constants, in the layouts of the runtime.
        freed: after opening, but kept by the system's malloc.
        opening: peak while the file is opened.
        inputs: the frames.
        values: live at once, at the worst operation.
        largest: the operations that produce those values, largest first.
        arena: allocated by the runtime for all values.
        reused: part of the arena that lies in freed memory.
        session: of the runtime itself, from the first run on.
    """

    constants: int
    copies: int
    freed: int
    opening: int
    inputs: int
    values: int
    largest: tuple[Operation, ...]
    arena: int
    reused: int
    session: int = _SESSION

    @property
    def running(self) -> int:
        """Memory from the second run on."""
        return (
            self.constants
            + self.copies
            + self.freed
            + self.inputs
            + self.arena
            - self.reused
            + self.session
        )

    @property
    def peak(self) -> int:
        """Maximum of opening and running."""
        return max(self.opening, self.running)


def memory_of(network: Network) -> Memory:
    """Estimate the memory of a graph."""
    found = lives(network)
    values, largest = _alive_at_once(found, len(network.operations))
    copies, freed = _copies(network), _freed(network)
    regions = _regions(found, len(network.operations))
    return Memory(
        constants=sum(network.constants.values()),
        copies=copies,
        freed=freed,
        opening=_opening(network, copies),
        inputs=sum(network.inputs.values()),
        values=values,
        largest=largest,
        arena=sum(written for _, written in regions),
        reused=_reused(regions, freed),
    )


def lives(network: Network) -> list[Life]:
    """Return the lifetime of each buffer; an in-place result extends it."""
    end = len(network.operations)
    last = {
        name: place
        for place, operation in enumerate(network.operations)
        for name in operation.reads
    }
    last |= dict.fromkeys(network.outputs, end)
    # Owner of the buffer of each value; inputs and constants have no buffer.
    home = dict.fromkeys([*network.inputs, *network.constants], "")
    made: dict[str, tuple[Operation, int]] = {}
    until: dict[str, int] = {}
    for place, operation in enumerate(network.operations):
        owner = _home_of(operation, place, home, made, until)
        home[operation.name] = owner
        if owner == operation.name:
            made[owner] = operation, place
        until[owner] = max(
            until.get(owner, place), last.get(operation.name, place)
        )
    return [
        Life(operation, place, until[name])
        for name, (operation, place) in made.items()
    ]


def _home_of(
    operation: Operation,
    place: int,
    home: Mapping[str, str],
    made: Mapping[str, tuple[Operation, int]],
    until: Mapping[str, int],
) -> str:
    """Return the owner of the result's buffer: a dead operand or itself."""
    homes = [home[name] for name in operation.reads]
    if operation.kind == "view":
        return homes[0]
    if operation.kind == "overwriting":
        for owner in homes:
            if (
                owner in made
                and until[owner] <= place
                and made[owner][0].bytes == operation.bytes
            ):
                return owner
    return operation.name


def _alive_at_once(
    found: list[Life], places: int
) -> tuple[int, tuple[Operation, ...]]:
    worst: list[Operation] = []
    for place in range(places):
        alive = [
            life.operation for life in found if life.made <= place <= life.last
        ]
        if sum(value.bytes for value in alive) > sum(
            value.bytes for value in worst
        ):
            worst = alive
    return sum(value.bytes for value in worst), tuple(
        sorted(worst, key=lambda value: -value.bytes)
    )


def _regions(found: list[Life], places: int) -> list[tuple[int, int]]:
    """Simulate the first run, then the block of all later runs."""
    arena, held = Arena(), {}
    for place in range(places + 1):
        for life in found:
            if life.made == place:
                held[life.operation.name] = arena.take(life.operation.bytes)
        for life in found:
            if life.last == place:
                arena.give(held.pop(life.operation.name))
    arena.take(
        planned(
            [
                (life.made, life.last, life.operation.bytes)
                for life in found
                if life.last < places
            ]
        )
    )
    return arena.regions


def _reused(regions: list[tuple[int, int]], freed: int) -> int:
    """Estimate the part of the arena that lies in freed memory.

    Freed memory is fragmented. In measurements a region fits if it is at most a
    third of the remaining freed memory.
    """
    left, reused = freed, 0
    for size, written in regions:
        if size <= left // 3:
            left -= size
            reused += written
    return reused


def _opening(network: Network, copies: int) -> int:
    """Estimate the peak of opening, in bytes.

    The bytes that were hashed are copied for the parser and parsed, and then
    freed (`anomedge.runtimes.parsed_once`). Compact constants are expanded, then
    all are copied one by one.
    """
    constants = sum(network.constants.values())
    if _is_mapped(network):
        return constants + copies
    taking_out = (
        constants
        + copies
        + _in_two_layouts(network, network.constants)
        + max(network.constants.values(), default=0)
    )
    unfolded = sum(network.constants[name] for name in network.stored)
    unfolding = (
        network.stored_bytes
        + unfolded
        + max(network.stored.values(), default=0)
    )
    parsing = _COPIES_PARSED * network.stored_bytes
    return max(parsing, taking_out, unfolding)


def _freed(network: Network) -> int:
    """Estimate the memory freed after opening that malloc keeps.

    Large constants have mappings of their own, which malloc returns.
    """
    if _is_mapped(network):
        return 0
    small = {
        name: size
        for name, size in network.constants.items()
        if size < _KEPT_BELOW
    }
    return _in_two_layouts(network, small) + max(small.values(), default=0)


def _in_two_layouts(network: Network, constants: Mapping[str, int]) -> int:
    """Estimate the memory for copying constants of convolutions into blocks.

    About half as much again is lost between the blocks.
    """
    return (
        sum(constants[name] for name in _convolved(network) & constants.keys())
        * 3
        // 2
    )


def _copies(network: Network) -> int:
    """Return the bytes of constants in the layouts of the runtime.

    Constants are packed once for each product. Packed constants of a
    convolution replace those of the file, unless the file is mapped.
    """
    readers: dict[str, list[Kind]] = {name: [] for name in network.constants}
    for operation in network.operations:
        for name in operation.reads:
            if name in readers:
                readers[name].append(operation.kind)
    copies = (
        sum(network.constants[name] for name in _convolved(network))
        if _is_mapped(network)
        else 0
    )
    for name, kinds in readers.items():
        packed = kinds.count("product")
        # If only products read it, a packed copy replaces the original.
        kept = int(len(kinds) > packed)
        copies += network.constants[name] * max(0, packed + kept - 1)
    return copies


def _convolved(network: Network) -> set[str]:
    read = {
        name
        for operation in network.operations
        if operation.kind == "convolution"
        for name in operation.reads
    }
    return read & network.constants.keys()


def _is_mapped(network: Network) -> bool:
    """Return whether constants lie in a second file, which is mapped.

    That is the case if the graph exceeds the limit of one protobuf file.
    Mapped constants are used in place, without a copy.
    """
    return network.stored_bytes + (1 << 20) > _PROTOBUF_LIMIT
