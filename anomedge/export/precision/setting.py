"""Set the precision of a traced graph: how its tensors are stored, and the edits of the precision itself."""

from __future__ import annotations

from typing import Any

from anomedge.export.precision.int8_storage import store_int8
from anomedge.export.precision.storage import store_halved
from anomedge.pipelines.model import Model
from anomedge.pipelines.networks import network_of
from anomedge.precisions import PRECISIONS

__all__ = ["set_precision"]


def set_precision(graph: Any, model: Model, precision: str) -> None:
    """Edit a traced graph in place for a precision.

    Raises:
        ExportError: the graph cannot be written in this precision.
    """
    member = PRECISIONS.get(precision)
    names = list(model.pipeline.state_dict())
    stored = [f"pipeline.{name}" for name in names]
    if member.half_storage:
        store_halved(graph, stored)
    if member.int8_storage:
        statistics = [
            f"pipeline.{name}"
            for name in names
            if not network_of(model.pipeline, name)
        ]
        store_int8(graph, statistics)
    member.edit(graph, stored)
