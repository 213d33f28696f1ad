"""Constants of an exported ONNX graph; values are read from the open file, or from an open file beside it.

Sizes are checked against the bytes that are there before memory is allocated.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from anomedge.errors import ModelError
from anomedge.files import open_plain, sha256_of_open, size_of
from anomedge.interop.anomalib.onnx_content import Place

__all__ = ["TYPES", "Files", "GraphTensor", "opened_files", "refuse_deep"]

TYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    6: np.dtype("<i4"),
    7: np.dtype("<i8"),
    10: np.dtype("<f2"),
    11: np.dtype("<f8"),
}
"""Types of values by ONNX's number; tensors of other types are not read."""

_EXTERNAL = 1
_MOST_DIMENSIONS = 16
_MOST_FILES = 64


@dataclass(frozen=True)
class Files:
    """The open files of a graph.

    Attributes:
        graph: the file itself.
        beside: files in its folder that tensors have their values in, by name.
        digests: their SHA-256, by name.
    """

    graph: BinaryIO
    beside: dict[str, BinaryIO]
    digests: dict[str, str]


@contextmanager
def opened_files(
    graph: BinaryIO, folder: Path, tensors: Iterable[Any]
) -> Iterator[Files]:
    """Open the files that tensors have their values in.

    Raises:
        ModelError: a file that is missing or not beside the graph, or many files.
    """
    names: set[str] = set()
    for tensor in tensors:
        if tensor.data_location == _EXTERNAL:
            names.add(_location(tensor))
    if len(names) > _MOST_FILES:
        raise ModelError(
            f"got a graph with values in {len(names)} files; expected at most {_MOST_FILES}: import the checkpoint"
        )
    with ExitStack() as stack:
        beside, digests = {}, {}
        for name in sorted(names):
            file = stack.enter_context(_opened(folder, name))
            beside[name], digests[name] = file, sha256_of_open(file)
        yield Files(graph, beside, digests)


def refuse_deep(tensor: Any) -> None:
    """Refuse a tensor of many dimensions: the product of their sizes would have millions of digits.

    Raises:
        ModelError: it has over 16.
    """
    if len(tensor.dims) > _MOST_DIMENSIONS:
        raise ModelError(
            f"got tensor {tensor.name[:80]} of {len(tensor.dims)} dimensions; expected at most {_MOST_DIMENSIONS}, as in "
            f"anomalib's files"
        )


@dataclass(frozen=True)
class GraphTensor:
    """A constant of the graph; its proto has a `Place` in `raw_data`."""

    proto: Any
    files: Files

    @property
    def dtype(self) -> torch.dtype:
        """Type of the values."""
        empty = np.empty(0, TYPES[self.proto.data_type])
        return torch.from_numpy(empty).dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values."""
        return tuple(int(n) for n in self.proto.dims)

    def load(self) -> Tensor:
        """Return the values, in memory of their own.

        Raises:
            ModelError: sizes that do not fit the bytes.
        """
        kind = TYPES[self.proto.data_type]
        if min(self.shape, default=0) < 0:
            raise self._refused(f"of shape {self.shape}")
        size = math.prod(self.shape) * kind.itemsize
        if self.proto.data_location == _EXTERNAL:
            file, start = self._external(size)
        elif self.proto.HasField("raw_data"):
            file, start = self._embedded(size)
        else:
            return self._typed()
        content = bytearray(size)
        file.seek(start)
        if file.readinto(content) != size:  # type: ignore[attr-defined]
            raise self._refused("beyond the end of the file, which was longer")
        return torch.from_numpy(np.frombuffer(content, kind)).reshape(
            self.shape
        )

    def _embedded(self, size: int) -> tuple[BinaryIO, int]:
        place = Place.unpacked(self.proto.raw_data)
        if place.size != size:
            raise self._refused(f"of {place.size} bytes, not {size}")
        return self.files.graph, place.start

    def _external(self, size: int) -> tuple[BinaryIO, int]:
        name, offset = _location(self.proto), _entry(self.proto, "offset", "0")
        if not offset.isascii() or not offset.isdigit() or len(offset) > 15:
            raise self._refused(f"at offset {offset[:80]!r}")
        file = self.files.beside[name]
        length = size_of(file)
        if int(offset) + size > length:
            raise self._refused(f"beyond the {length} bytes of {name}")
        return file, int(offset)

    def _typed(self) -> Tensor:
        """Return values that are stored as numbers."""
        from onnx import numpy_helper

        try:
            return torch.from_numpy(numpy_helper.to_array(self.proto).copy())
        except (ValueError, TypeError) as error:
            raise self._refused(f"of shape {self.shape}") from error

    def _refused(self, text: str) -> ModelError:
        return ModelError(
            f"got tensor {self.proto.name[:200]} with values {text}; expected a whole ONNX file of anomalib"
        )


def _location(tensor: Any) -> str:
    """Return the name of the file that a tensor has its values in.

    Raises:
        ModelError: not a plain name.
    """
    name = _entry(tensor, "location", "")
    is_plain = Path(name).name == name and name.isprintable()
    if name in {"", ".", ".."} or not is_plain:
        raise ModelError(
            f"got tensor {tensor.name[:200]} with values in the file {name[:200]!r}, not beside the graph; expected a whole ONNX "
            f"file of anomalib"
        )
    return name


def _entry(tensor: Any, key: str, absent: str) -> str:
    """Return an entry of a reference to a file; the last one, if it is stated twice."""
    value = absent
    for entry in tensor.external_data:
        if entry.key == key:
            value = str(entry.value)
    return value


def _opened(folder: Path, name: str) -> BinaryIO:
    try:
        return open_plain(folder / name, links=False)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(
            f"got no values in {name} ({reason}); expected that file beside the graph"
        ) from error
