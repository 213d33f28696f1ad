"""A graph as a list of operations in execution order, with value sizes.

It has no values and no operator types: the reader of a graph gives each node
the kind of treatment that a runtime gives it.
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
        name: of its output.
        kind: a CPU runtime keeps the constants of a `convolution` and of a
            `product` with a constant matrix in its own layout. A `lookup` reads
            part of a table. `overwriting` may write its output into an operand.
            A `view` has no memory of its own; it shows its first operand.
        reads: names of the values and constants read.
        shape, bytes: of the output.
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
    """A graph for one batch size.

    Attributes:
        inputs, constants: bytes by name.
        operations: in execution order.
        stages: the value that ends each stage, in order.
        outputs: names of the graph's outputs.
        stored: bytes in the file of constants stored in a smaller form.
        computed: constants that are not in the file; a runtime computes them
            from others when it opens the file.

    Raises:
        InputError: a value that is read or returned has no producer.
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
        """Bytes of the constants in the file of the graph."""
        total = 0
        for name, size in self.constants.items():
            if name not in self.computed:
                total += self.stored.get(name, size)
        return total

    def __post_init__(self) -> None:
        known = {*self.inputs, *self.constants}
        for operation in self.operations:
            missing = [name for name in operation.reads if name not in known]
            if missing:
                raise InputError(
                    f"{operation.name} reads {missing}; "
                    "expected only inputs, constants and results of earlier operations"
                )
            known.add(operation.name)
        results = (*self.stages.values(), *self.outputs)
        if missing := [name for name in results if name not in known]:
            raise InputError(
                f"got a graph without {missing}; "
                "expected every stage and output to be made in it"
            )
