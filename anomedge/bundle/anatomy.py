"""Count the nodes and weights of each stage of a bundle's graph.

The counts come from `stages.onnx`, read by the package `onnx` without weights. A node belongs to the first stage that
depends on it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomedge.errors import BundleError

__all__ = ["StageAnatomy", "anatomy_of"]

_BITS = {
    1: 32,
    2: 8,
    3: 8,
    4: 16,
    5: 16,
    6: 32,
    7: 64,
    9: 8,
    10: 16,
    11: 64,
    12: 32,
    13: 64,
    16: 16,
}


@dataclass(frozen=True)
class StageAnatomy:
    """One stage of a graph.

    Attributes:
        name: name of the stage.
        shape: shape of its value; None stands for any batch size.
        operators: number of nodes of each operator between the previous stages and this one.
        weight_bytes: bytes of the constants that those nodes are the first to read.
    """

    name: str
    shape: tuple[int | None, ...]
    operators: dict[str, int]
    weight_bytes: int

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return sum(self.operators.values())


def anatomy_of(path: Path, names: Sequence[str]) -> list[StageAnatomy]:
    """Return the stages of a graph, in order.

    Args:
        path: `stages.onnx`.
        names: the stages that the manifest lists.

    Raises:
        BundleError: the file is no ONNX graph, or has other stages.
        ModuleNotFoundError: `onnx` is not installed.
    """
    graph = _graph(path)
    makers = {
        output: place
        for place, node in enumerate(graph.node)
        for output in node.output
    }
    weights = {tensor.name: _bytes(tensor) for tensor in graph.initializer}
    shapes = {value.name: tuple(_dimensions(value)) for value in graph.output}
    if missing := [name for name in names if name not in shapes]:
        raise BundleError(
            f"{path} has no stages {missing}; expected those of its manifest: export the bundle again"
        )
    seen: set[int] = set()
    stages = []
    for name in names:
        new = _ancestors(graph, makers, name) - seen
        seen |= new
        read = {
            given for place in new for given in graph.node[place].input
        } & weights.keys()
        stages.append(
            StageAnatomy(
                name=name,
                shape=shapes[name],
                operators=dict(
                    Counter(
                        graph.node[place].op_type for place in sorted(new)
                    ).most_common()
                ),
                weight_bytes=sum(weights.pop(given) for given in read),
            )
        )
    return stages


def _graph(path: Path) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        return onnx.load(path, load_external_data=False).graph
    except (OSError, DecodeError) as error:
        raise BundleError(
            f"{path} is no ONNX graph ({error}); export the bundle again"
        ) from error


def _ancestors(graph: Any, makers: dict[str, int], output: str) -> set[int]:
    found: set[int] = set()
    waiting = [output]
    while waiting:
        place = makers.get(waiting.pop())
        if place is not None and place not in found:
            found.add(place)
            waiting += graph.node[place].input
    return found


def _bytes(tensor: Any) -> int:
    return int(math.prod(tensor.dims)) * _BITS.get(tensor.data_type, 32) // 8


def _dimensions(value: Any) -> Iterator[int | None]:
    for dimension in value.type.tensor_type.shape.dim:
        yield dimension.dim_value if dimension.HasField("dim_value") else None
