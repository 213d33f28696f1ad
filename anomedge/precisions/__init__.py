"""Precisions of graphs: one file each, found by directory and in the entry-point group `anomedge.precisions`.

The export writes a graph in a precision and the device proves it, so these files are on the device side: they import torch
and onnx only inside the methods that write.
"""

from anomedge.precisions.base import Precision, Tolerance
from anomedge.registry import Registry

__all__ = ["PRECISIONS", "Precision", "Tolerance", "written"]

PRECISIONS: Registry[Precision] = Registry(
    package=__name__,
    group="anomedge.precisions",
    kind="precision",
    base=Precision,
)


def written() -> dict[str, type[Precision]]:
    """Return the precisions that the export can write, by name; others are modes of a runtime."""
    members = PRECISIONS.members().items()
    return {name: member for name, member in members if member.is_written}
