"""Convert an OpenVINO IR, as OpenVINO describes it, to the graph model of the rules, with ONNX names of operators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anomedge.lint.graph import Graph, Node, Scope, Value

__all__ = ["RULES", "graph_of_ir"]

RULES = frozenset(
    {"attribute", "present", "static", "volume", "dimensions", "precision"}
)
"""Kinds of rules that apply to an IR; the others concern ONNX only, or are settled once OpenVINO has read the file."""

_NAMES = {"Interpolate": "Resize", "TensorIterator": "Loop"}
_TYPES = {
    "f32": "FP32", "f16": "FP16", "bf16": "BF16", "f64": "DOUBLE", "i64": "INT64", "i32": "INT32", "u8": "UINT8",
    "i8": "INT8", "boolean": "BOOL",
}  # fmt: skip


def graph_of_ir(path: Path, described: dict[str, Any], batch: int) -> Graph:
    """Return the graph that a worker described; open dimensions stay open."""
    scope, nodes = Scope(None), []
    for operation in described["operations"]:
        outputs = []
        for place, output in enumerate(operation["outputs"]):
            name = (
                operation["name"]
                if place == 0
                else f"{operation['name']}.{place}"
            )
            shape = None if output["shape"] is None else tuple(output["shape"])
            scope.values[name] = Value(
                name, _TYPES.get(output["type"], ""), shape
            )
            outputs.append(name)
        if operation["type"] in {"Parameter", "Constant", "Result"}:
            continue
        attributes = {"antialias": 1} if operation.get("antialias") else {}
        kind = operation["type"]
        nodes.append(
            Node(
                operation["name"],
                _NAMES.get(kind, kind),
                "",
                (),
                tuple(outputs),
                attributes,
                scope,
            )
        )
    open_axes = {
        given["name"]: _open(given["shape"]) for given in described["inputs"]
    }
    return Graph(
        path=path,
        opset=None,
        nodes=tuple(nodes),
        inputs=tuple(open_axes),
        outputs=(),
        open_axes={name: axes for name, axes in open_axes.items() if axes},
        tensors=(),
        functions=(),
        batch=batch,
    )


def _open(shape: list[int | None] | None) -> tuple[int, ...]:
    return (
        tuple(i for i, n in enumerate(shape) if n is None)
        if shape is not None
        else (0,)
    )
