"""The contract of a graph pass."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import ClassVar

import onnx

__all__ = ["Pass", "Target"]


@dataclass(frozen=True)
class Target:
    """The graph that the export asks for.

    Args:
        opset: version of the default operator set.
        batch: the fixed batch size, or None for a dynamic batch.
        frame: height and width of the frames.
    """

    opset: int
    batch: int | None
    frame: tuple[int, int]


class Pass(abc.ABC):
    """A rewrite of a graph in place. Graphs above 2 GiB cannot be copied, so no pass returns a copy.

    A subclass states its `name`, the names of the passes that run before it (`after`), and `rewrite`. It may state
    `requires` and `ensures`, which `apply` checks before and after.
    """

    name: ClassVar[str]
    after: ClassVar[tuple[str, ...]] = ()

    def __init__(self, target: Target) -> None:
        self.target = target

    def apply(self, model: onnx.ModelProto) -> bool:
        """Check the requirements, rewrite, check the result; return True if the graph was changed.

        Raises:
            ExportError: a requirement does not hold, or the result is not as promised.
        """
        self.requires(model)
        changed = self.rewrite(model)
        self.ensures(model)
        return changed

    def requires(self, model: onnx.ModelProto) -> None:
        """Raise ExportError if the pass cannot rewrite this graph."""
        del model

    @abc.abstractmethod
    def rewrite(self, model: onnx.ModelProto) -> bool:
        """Rewrite the graph in place; return True if it was changed."""

    def ensures(self, model: onnx.ModelProto) -> None:
        """Raise ExportError if the rewritten graph is not as promised."""
        del model
