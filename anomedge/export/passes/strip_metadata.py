"""Remove everything that differs between two exports of one model: stack traces, absolute paths, versions, inner shapes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx
from onnx import helper

from anomedge.errors import ExportError
from anomedge.export.passes.base import Pass

__all__ = ["StripMetadata"]


class StripMetadata(Pass):
    """Remove metadata and the shapes of inner values.

    Ensures: the same model gives the same bytes; the file contains no path of this machine.
    """

    name = "strip_metadata"
    after = ("lower_opset",)

    def rewrite(self, model: onnx.ModelProto) -> bool:
        """Clear metadata, documentation and inner shapes; set name, producer and IR version."""
        for holder in _holders(model):
            del holder.metadata_props[:]
            holder.doc_string = ""
        del model.graph.value_info[:]
        model.graph.name = "anomedge"
        model.producer_name, model.producer_version = "anomedge", ""
        model.ir_version = helper.find_min_ir_version_for(model.opset_import)
        return True

    def ensures(self, model: onnx.ModelProto) -> None:
        """Raise ExportError if metadata are left."""
        for holder in _holders(model):
            if holder.metadata_props or holder.doc_string:
                raise ExportError(
                    f"got metadata of {getattr(holder, 'name', 'the model')!r}; expected none"
                )


def _holders(model: onnx.ModelProto) -> Iterator[Any]:
    graph = model.graph
    yield model
    yield graph
    yield from graph.node
    yield from graph.initializer
    yield from graph.input
    yield from graph.output
