"""Types and shapes of a graph's inputs and outputs, and the check of a feed against them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anomedge.errors import InputError

__all__ = ["TensorSpec", "Tensors", "checked_feed", "format_specs"]

Tensors = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class TensorSpec:
    """Type and shape of an input or output; None stands for any size."""

    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        sizes = ("any" if size is None else str(size) for size in self.shape)
        return f"{self.dtype} ({', '.join(sizes)})"

    def accepts(self, array: npt.NDArray[Any]) -> bool:
        """Return whether type, rank and fixed sizes agree and no size is 0."""
        if str(array.dtype) != self.dtype or array.ndim != len(self.shape):
            return False
        sizes = zip(self.shape, array.shape, strict=True)
        return all(got > 0 and size in (None, got) for size, got in sizes)

    def matches(self, other: TensorSpec) -> bool:
        """Return whether type and rank are equal, and every size known here."""
        if (self.dtype, len(self.shape)) != (other.dtype, len(other.shape)):
            return False
        sizes = zip(self.shape, other.shape, strict=True)
        return all(own in (None, expected) for own, expected in sizes)


def format_specs(specs: Mapping[str, TensorSpec]) -> str:
    """Format names and specs for a message."""
    shown = [f"{name} {spec}" for name, spec in specs.items()]
    return ", ".join(shown) or "nothing"


def checked_feed(
    feed: Mapping[str, npt.NDArray[Any]], inputs: Mapping[str, TensorSpec]
) -> Tensors:
    """Return the feed as contiguous arrays.

    Raises:
        InputError: a name, type or shape differs from the graph's inputs.
    """
    if feed.keys() != inputs.keys():
        raise InputError(
            f"got inputs {sorted(feed)}; expected {sorted(inputs)}"
        )
    arrays = {name: np.asarray(array) for name, array in feed.items()}
    for name, array in arrays.items():
        if not inputs[name].accepts(array):
            got = TensorSpec(str(array.dtype), array.shape)
            raise InputError(
                f"input {name!r}: got {got}; expected {inputs[name]}: "
                f"give frames of that size"
            )
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}
