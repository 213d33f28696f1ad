"""Nodes and constants of an exported ONNX graph, read without running it.

External values are read from a plain file beside the graph; sizes are checked
against the bytes that are there before memory is allocated.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anomedge.errors import ModelError
from anomedge.files import open_plain, size_of

__all__ = ["GraphTensor", "OnnxGraph", "read_onnx"]

_LARGEST = 2 << 30
_TYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    6: np.dtype("<i4"),
    7: np.dtype("<i8"),
    10: np.dtype("<f2"),
    11: np.dtype("<f8"),
}
"""Types of values by ONNX's number; tensors of other types are not read."""


@dataclass(frozen=True)
class GraphTensor:
    """A constant of the graph."""

    proto: Any
    folder: Path

    @property
    def dtype(self) -> torch.dtype:
        """Type of the values."""
        empty = np.empty(0, _TYPES[self.proto.data_type])
        return torch.from_numpy(empty).dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values."""
        return tuple(int(n) for n in self.proto.dims)

    def load(self) -> Tensor:
        """Return the values.

        Raises:
            ModelError: sizes that do not fit the bytes, or values in another
                folder.
        """
        kind = _TYPES[self.proto.data_type]
        if min(self.shape, default=0) < 0:
            raise self._refused(f"of shape {self.shape}")
        size = math.prod(self.shape) * kind.itemsize
        if self.proto.data_location == 1:
            raw = self._external(size)
        elif self.proto.raw_data:
            raw = self.proto.raw_data
        else:
            return self._typed()
        if len(raw) != size:
            raise self._refused(f"of {len(raw)} bytes, not {size}")
        values = np.frombuffer(raw, kind).reshape(self.shape)
        return torch.from_numpy(values.copy())

    def _typed(self) -> Tensor:
        """Return values that are stored as numbers."""
        from onnx import numpy_helper

        try:
            return torch.from_numpy(numpy_helper.to_array(self.proto).copy())
        except (ValueError, TypeError) as error:
            raise self._refused(f"of shape {self.shape}") from error

    def _external(self, size: int) -> bytes:
        entries = {item.key: item.value for item in self.proto.external_data}
        name, offset = entries.get("location", ""), entries.get("offset", "0")
        is_plain = Path(name).name == name and "\0" not in name
        if name in {"", ".", ".."} or not is_plain:
            raise self._refused(f"in the file {name!r}, not beside the graph")
        if not offset.isascii() or not offset.isdigit() or len(offset) > 15:
            raise self._refused(f"at offset {offset!r}")
        try:
            with open_plain(self.folder / name, links=False) as file:
                length = file.seek(0, 2)
                if int(offset) + size > length:
                    raise self._refused(f"beyond the {length} bytes of {name}")
                file.seek(int(offset))
                return file.read(size)
        except OSError as error:
            raise ModelError(
                f"got no values of {self.proto.name} in {name} ({error.strerror}); expected that file beside the graph"
            ) from error

    def _refused(self, text: str) -> ModelError:
        return ModelError(
            f"got tensor {self.proto.name} with values {text}; expected a whole ONNX file of anomalib"
        )


@dataclass(frozen=True)
class OnnxGraph:
    """Graph of a file.

    Attributes:
        digest: SHA-256 of the file.
        graph: the graph of the onnx package.
        constants: initialisers and constant nodes by name.
        producers: the node that computes each value.
    """

    digest: str
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


def read_onnx(path: Path) -> OnnxGraph:
    """Read a graph.

    Raises:
        ModelError: not an ONNX file, or a larger one than ONNX has.
    """
    import onnx

    content = _content(path)
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:
        raise ModelError(
            "it cannot be read as ONNX; expected a file of `anomalib export --export_type onnx`"
        ) from error
    graph = model.graph
    _refuse_repeated(graph)
    producers = {name: node for node in graph.node for name in node.output}
    return OnnxGraph(
        hashlib.sha256(content).hexdigest(),
        graph,
        dict(_constants(graph, path.parent)),
        producers,
    )


def _content(path: Path) -> bytes:
    try:
        with open_plain(path) as file:
            size = size_of(file)
            if size > _LARGEST:
                raise ModelError("it has over 2 GiB; expected an ONNX file")
            return file.read(size)
    except OSError as error:
        raise ModelError(
            f"it cannot be read ({error.strerror or error}); expected a file of `anomalib export --export_type onnx`"
        ) from error


def _refuse_repeated(graph: Any) -> None:
    """Refuse two values of one name, of which a runtime may take the other one."""
    names = [tensor.name for tensor in graph.initializer]
    names += [name for node in graph.node for name in node.output if name]
    if len(set(names)) < len(names):
        raise ModelError(
            "got a graph with two values of one name; expected a valid ONNX file: export it again"
        )


def _constants(graph: Any, folder: Path) -> Iterator[tuple[str, GraphTensor]]:
    for proto in graph.initializer:
        if proto.data_type in _TYPES:
            yield proto.name, GraphTensor(proto, folder)
    for node in graph.node:
        if node.op_type != "Constant" or len(node.output) != 1:
            continue
        for attribute in node.attribute:
            is_tensor = attribute.name == "value"
            if is_tensor and attribute.t.data_type in _TYPES:
                yield node.output[0], GraphTensor(attribute.t, folder)
