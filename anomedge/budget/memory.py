"""How much memory a graph takes while it is opened and run, in the way of ONNX Runtime's CPU provider.

The values that are alive at once follow from the graph. What the runtime makes of them was measured: constants of
convolutions and of products are kept in another layout too, while a file is opened some exist twice, and values
come from an arena that gives nothing back (`anomedge.budget.arena`). tests/budget measures it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from anomedge.budget.arena import Arena, planned
from anomedge.budget.network import Kind, Network, Operation

__all__ = ["Life", "Memory", "lives", "memory_of"]

_PROTOBUF_LIMIT = 2**31 - 1


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
        opening: at its highest while the file is opened.
        inputs: the frames.
        values: alive at once, at the worst operation.
        largest: the operations that made those, largest first.
        arena: what the runtime takes for all values.
    """

    constants: int
    copies: int
    opening: int
    inputs: int
    values: int
    largest: tuple[Operation, ...]
    arena: int

    @property
    def running(self) -> int:
        """From the second run on."""
        return self.constants + self.copies + self.inputs + self.arena

    @property
    def peak(self) -> int:
        """The larger of both."""
        return max(self.opening, self.running)


def memory_of(network: Network) -> Memory:
    """How much memory a graph takes."""
    found = lives(network)
    values, largest = _alive_at_once(found, len(network.operations))
    copies = _copies(network)
    return Memory(
        constants=sum(network.constants.values()),
        copies=copies,
        opening=_opening(network, copies),
        inputs=sum(network.inputs.values()),
        values=values,
        largest=largest,
        arena=_arena(found, len(network.operations)),
    )


def lives(network: Network) -> list[Life]:
    """Every value's memory; a result that lies in an operand's memory lengthens that one's life."""
    end = len(network.operations)
    last = {name: place for place, operation in enumerate(network.operations) for name in operation.reads}
    last |= dict.fromkeys(network.outputs, end)
    home: dict[str, str] = dict.fromkeys([*network.inputs, *network.constants], "")  # whose memory a value lies in
    made: dict[str, tuple[Operation, int]] = {}
    until: dict[str, int] = {}
    for place, operation in enumerate(network.operations):
        owner = _home_of(operation, place, home, made, until)
        home[operation.name] = owner
        if owner == operation.name:
            made[owner] = operation, place
        until[owner] = max(until.get(owner, place), last.get(operation.name, place))
    return [Life(operation, place, until[name]) for name, (operation, place) in made.items()]


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
            if owner in made and until[owner] <= place and made[owner][0].bytes == operation.bytes:
                return owner
    return operation.name


def _alive_at_once(found: list[Life], places: int) -> tuple[int, tuple[Operation, ...]]:
    worst: list[Operation] = []
    for place in range(places):
        alive = [life.operation for life in found if life.made <= place <= life.last]
        if sum(value.bytes for value in alive) > sum(value.bytes for value in worst):
            worst = alive
    return sum(value.bytes for value in worst), tuple(sorted(worst, key=lambda value: -value.bytes))


def _arena(found: list[Life], places: int) -> int:
    """The first run takes the values one by one; the later ones take what lives within the run as one block."""
    arena, held = Arena(), {}
    for place in range(places + 1):
        for life in found:
            if life.made == place:
                held[life.operation.name] = arena.take(life.operation.bytes)
        for life in found:
            if life.last == place:
                arena.give(held.pop(life.operation.name))
    arena.take(planned([(life.made, life.last, life.operation.bytes) for life in found if life.last < places]))
    return arena.touched


def _opening(network: Network, copies: int) -> int:
    """Constants leave the file's text one by one; what is held in a smaller form is unfolded in two steps before that.

    While a convolution's are put into blocks, about half as much lies free between them. Where constants lie beside the
    graph they are mapped, and nothing exists twice.
    """
    constants = sum(network.constants.values())
    if network.stored_bytes + (1 << 20) > _PROTOBUF_LIMIT:
        return constants + copies
    convolved = {name for o in network.operations if o.kind == "convolution" for name in o.reads}
    between = sum(size for name, size in network.constants.items() if name in convolved) // 2
    taking_out = constants + copies + between + max(network.constants.values(), default=0)
    unfolded = sum(network.constants[name] for name in network.stored)
    return max(taking_out, network.stored_bytes + 2 * unfolded + max(network.stored.values(), default=0))


def _copies(network: Network) -> int:
    """A convolution's constants are kept in blocks as well; those of a product are packed, once for each product."""
    readers: dict[str, list[Kind]] = {name: [] for name in network.constants}
    for operation in network.operations:
        for name in operation.reads:
            if name in readers:
                readers[name].append(operation.kind)
    copies = 0
    for name, kinds in readers.items():
        packed = kinds.count("product")
        kept = int(len(kinds) > packed)  # where products alone read it, the packed ones take its place
        copies += network.constants[name] * (1 if "convolution" in kinds else max(0, packed + kept - 1))
    return copies
