"""How much memory a graph takes while it is opened and run, in the way of ONNX Runtime's CPU provider.

The values that are alive at once follow from the graph. What the runtime makes of them was measured: constants of
convolutions and of products are laid out anew, while a file is opened some exist twice, values come from an arena that
gives nothing back (`anomedge.budget.arena`), and malloc keeps what opening freed. tests/budget/test_tracing.py measures it
again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from anomedge.budget.arena import Arena, planned
from anomedge.budget.network import Kind, Network, Operation

__all__ = ["Life", "Memory", "lives", "memory_of"]

_PROTOBUF_LIMIT = 2**31 - 1
_KEPT_BELOW = 32 << 20
"""What is freed and smaller than this stays with the process: the highest that glibc's own threshold for mapping rises to."""

_SESSION = 5_000_000
"""What a session was seen to take for itself from its first run on: 4 to 6 MB for graphs of 80 to 500 nodes."""


@dataclass(frozen=True)
class Life:
    """A value's memory: the operation that takes it, and the places of that and of the last one that needs it."""

    operation: Operation
    made: int
    last: int


@dataclass(frozen=True)
class Memory:
    """Bytes of a process above those of one that runs an empty graph.

    Attributes:
        constants: the graph's own.
        copies: of constants, in the runtime's layouts.
        freed: since the file was opened, and kept by the system's malloc.
        opening: at its highest while the file is opened.
        inputs: the frames.
        values: alive at once, at the worst operation.
        largest: the operations that made those, largest first.
        arena: what the runtime takes for all values.
        reused: of the arena, what lies in freed memory.
        session: the runtime's own, from the first run on.
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
        """From the second run on."""
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
        """The larger of both."""
        return max(self.opening, self.running)


def memory_of(network: Network) -> Memory:
    """How much memory a graph takes."""
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
    """Every value's memory; a result that lies in an operand's memory lengthens that one's life."""
    end = len(network.operations)
    last = {
        name: place
        for place, operation in enumerate(network.operations)
        for name in operation.reads
    }
    last |= dict.fromkeys(network.outputs, end)
    home: dict[str, str] = dict.fromkeys(
        [*network.inputs, *network.constants], ""
    )  # whose memory a value lies in
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
    """Whose memory a result lies in: an operand's that nobody needs any more and that is as large, or its own."""
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
    """The first run takes the values one by one; the later ones take what lives within the run as one block."""
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
    """Freed memory lies in pieces; a region of the arena was seen to find one up to a third of what is left."""
    left, reused = freed, 0
    for size, written in regions:
        if size <= left // 3:
            left -= size
            reused += written
    return reused


def _opening(network: Network, copies: int) -> int:
    """Estimate the peak of opening, in bytes: compact constants are expanded in two steps, then all are copied one by one.

    The file's bytes stay in memory until the session is open, because the runtime gets the bytes that were hashed.
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
        + 2 * unfolded
        + max(network.stored.values(), default=0)
    )
    return network.stored_bytes + max(taking_out, unfolding)


def _freed(network: Network) -> int:
    """What opening took beyond what it keeps, but for large constants, which malloc maps by themselves and gives back."""
    if _is_mapped(network):
        return 0
    small = {
        name: size
        for name, size in network.constants.items()
        if size < _KEPT_BELOW
    }
    return _in_two_layouts(network, small) + max(small.values(), default=0)


def _in_two_layouts(network: Network, constants: Mapping[str, int]) -> int:
    """A convolution's constants are put into blocks one by one; about half as much again lies free between those."""
    return (
        sum(constants[name] for name in _convolved(network) & constants.keys())
        * 3
        // 2
    )


def _copies(network: Network) -> int:
    """Constants of a product are packed, once for each product.

    A convolution's take the place of the file's, except where that is mapped and has no place to give.
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
        kept = int(
            len(kinds) > packed
        )  # where products alone read it, the packed ones take its place
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
    """Whether the graph exceeds one file; its constants then lie beside it and are used in place, without a copy."""
    return network.stored_bytes + (1 << 20) > _PROTOBUF_LIMIT
