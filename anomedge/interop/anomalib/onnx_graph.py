"""Nodes and constants of an exported ONNX graph, read without running it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from anomedge.bundle.protobuf import Spoilt
from anomedge.errors import ModelError
from anomedge.files import open_plain, sha256_of_open, size_of
from anomedge.interop.anomalib.onnx_content import reduced
from anomedge.interop.anomalib.onnx_values import (
    TYPES,
    GraphTensor,
    opened_files,
    refuse_deep,
)

__all__ = ["GraphTensor", "OnnxGraph", "read_onnx"]

_LARGEST = 2 << 30
_EXPECTED = "expected a file of `anomalib export --export_type onnx`"


@dataclass(frozen=True)
class OnnxGraph:
    """Graph of a file.

    Attributes:
        digest: SHA-256 of the file.
        beside: SHA-256 of each file beside it that tensors have their values
            in, by name.
        graph: the graph of the onnx package.
        constants: initialisers and constant nodes by name.
        producers: the node that computes each value.
    """

    digest: str
    beside: Mapping[str, str]
    graph: Any
    constants: Mapping[str, GraphTensor]
    producers: Mapping[str, Any]

    def constant(self, name: str) -> GraphTensor | None:
        """Return a constant, also behind a few Identity nodes; None for other values."""
        for _ in range(4):
            if name in self.constants:
                return self.constants[name]
            node = self.producers.get(name)
            if node is None or node.op_type != "Identity":
                return None
            name = node.input[0]
        return None

    def scalar(self, name: str) -> float | None:
        """Return a constant of one element; None for other values."""
        found = self.constant(name)
        if found is None or math.prod(found.shape) != 1:
            return None
        return float(found.load().reshape(()).item())

    def named(self, *kinds: str) -> Iterator[Any]:
        """Yield the nodes of these operators, in order."""
        for node in self.graph.node:
            if node.op_type in kinds:
                yield node


@contextmanager
def read_onnx(path: Path) -> Iterator[OnnxGraph]:
    """Read a graph; its tensors can be loaded until the block ends.

    Memory stays below 64 MB, however the file is made; values of tensors are
    read when they are loaded.

    Raises:
        ModelError: not an ONNX file, or a larger one than ONNX has.
    """
    with _opened(path) as file:
        graph = _parsed(file)
        file.seek(0)
        digest = sha256_of_open(file)
        _refuse_repeated(graph)
        tensors = dict(_tensors(graph))
        with opened_files(file, path.parent, tensors.values()) as files:
            yield OnnxGraph(
                digest,
                files.digests,
                graph,
                {name: GraphTensor(tensors[name], files) for name in tensors},
                {name: node for node in graph.node for name in node.output},
            )


def _opened(path: Path) -> BinaryIO:
    try:
        return open_plain(path)
    except OSError as error:
        raise ModelError(
            f"it cannot be read ({error.strerror or error}); {_EXPECTED}"
        ) from error


def _parsed(file: BinaryIO) -> Any:
    """Return the graph, in which a `Place` stands for raw values."""
    import onnx
    from google.protobuf.message import DecodeError

    size = size_of(file)
    if size > _LARGEST:
        raise ModelError("it has over 2 GiB; expected an ONNX file")
    try:
        return onnx.ModelProto.FromString(reduced(file, size)).graph
    except (Spoilt, DecodeError, OSError) as error:
        raise ModelError(
            f"it cannot be read as ONNX ({error}); {_EXPECTED}"
        ) from error


def _refuse_repeated(graph: Any) -> None:
    """Refuse two values of one name, of which a runtime may take the other one."""
    names = [tensor.name for tensor in graph.initializer]
    names += [name for node in graph.node for name in node.output if name]
    if len(set(names)) < len(names):
        raise ModelError(
            "got a graph with two values of one name; expected a valid ONNX file: export it again"
        )


def _tensors(graph: Any) -> Iterator[tuple[str, Any]]:
    """Yield the constants by name: initialisers and Constant nodes."""
    for tensor in graph.initializer:
        if tensor.data_type in TYPES:
            refuse_deep(tensor)
            yield tensor.name, tensor
    for node in graph.node:
        if node.op_type != "Constant" or len(node.output) != 1:
            continue
        for attribute in node.attribute:
            if attribute.name == "value" and attribute.t.data_type in TYPES:
                refuse_deep(attribute.t)
                yield node.output[0], attribute.t
