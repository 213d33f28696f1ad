"""A graph as a list of operations in the order they run in, each with the size of what it makes.

No values and no names of operators: whoever reads a graph says what each of its nodes is to a runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from anomedge.errors import InputError

__all__ = ["Kind", "Network", "Operation"]

Kind = Literal[
    "convolution", "product", "lookup", "overwriting", "view", "other"
]


@dataclass(frozen=True)
class Operation:
    """One node.

    Attributes:
        name: of the value it makes.
        kind: `convolution`, and `product` with a matrix of constants: a CPU runtime keeps these constants in a layout of
            its own. `lookup` reads of a table only what it needs. `overwriting` may put its result where an operand was.
            `view` makes no new value; its first operand is the value it shows.
        reads: values and constants, by name.
        shape, bytes: of the value.
        flops: multiplications and additions of products and convolutions.
    """

    name: str
    kind: Kind
    reads: tuple[str, ...]
    shape: tuple[int, ...]
    bytes: int
    flops: int = 0


@dataclass(frozen=True)
class Network:
    """A graph for one size of batch.

    Attributes:
        inputs, constants: bytes by name.
        stored: bytes in the graph's file of those constants that it holds in a smaller form.
        computed: constants that are not in the file: a runtime makes them of others when it opens it.
        operations: in the order they run in.
        stages: the value that ends each stage, in order.
        outputs: the values that the caller gets.

    Raises:
        InputError: something is read, or given out, that was never made.
    """

    inputs: Mapping[str, int]
    constants: Mapping[str, int]
    operations: tuple[Operation, ...]
    stages: Mapping[str, str]
    outputs: tuple[str, ...]
    stored: Mapping[str, int] = field(default_factory=dict)
    computed: frozenset[str] = frozenset()

    @property
    def stored_bytes(self) -> int:
        """What the graph's file holds of its constants."""
        held = (
            (name, size)
            for name, size in self.constants.items()
            if name not in self.computed
        )
        return sum(self.stored.get(name, size) for name, size in held)

    def __post_init__(self) -> None:
        known = {*self.inputs, *self.constants}
        for operation in self.operations:
            if missing := [
                name for name in operation.reads if name not in known
            ]:
                raise InputError(
                    f"{operation.name} reads {missing}; expected only what was made before it"
                )
            known.add(operation.name)
        if missing := [
            name
            for name in (*self.stages.values(), *self.outputs)
            if name not in known
        ]:
            raise InputError(
                f"got a graph without {missing}; expected every stage and output to be made in it"
            )
