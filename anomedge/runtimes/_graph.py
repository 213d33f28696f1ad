"""A graph's bytes: read once, and those very bytes are what a vendor gets, whatever becomes of the files afterwards.

A path that is handed to a vendor is opened again, later, by code that knows nothing of hashes; OpenVINO and ONNX Runtime
even map what they find there, so that a file written over changes a running session, and one cut short ends the process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from anomedge.bundle import Bundle
from anomedge.errors import InputError
from anomedge.files import sha256_of_bytes
from anomedge.runtimes._external import External, external_tensors, with_values

__all__ = ["GraphFile", "Loaded"]

_LARGEST = 2**31 - 1 - (1 << 20)
"""Bytes that a graph may have in one piece: what protocol buffers can hold, and a little less."""


@dataclass(frozen=True)
class GraphFile:
    """A graph's file, and those beside it that it needs.

    Args:
        path: where it lies; its name is what messages say.
        bundle: that lists it; None for a file that no manifest answers for.
    """

    path: Path
    bundle: Bundle | None = None

    @classmethod
    def of(cls, source: GraphFile | Path) -> GraphFile:
        """The file at a path, where it is none already.

        Raises:
            InputError: there is none.
        """
        if isinstance(source, GraphFile):
            return source
        if not source.is_file():
            raise InputError(f"got {source}; expected the file of a graph: check the path")
        return cls(source)

    @classmethod
    def in_bundle(cls, bundle: Bundle, name: str) -> GraphFile:
        """A file that a bundle's manifest lists.

        Raises:
            IntegrityError: it does not.
        """
        return cls(bundle.file(name), bundle)

    def read(self, name: str) -> bytes:
        """The content of a file of the same folder; of a bundle's, just as it was hashed.

        Raises:
            IntegrityError: a bundle's manifest does not list it, or it was changed.
            ValueError, OSError: of other files, it lies outside the folder or cannot be read.
        """
        if self.bundle is not None:
            return self.bundle.read(self._member(name))
        return self._beside(name).read_bytes()

    def has(self, name: str) -> bool:
        """Whether there is a file of that name in the same folder."""
        if self.bundle is not None:
            return self._member(name) in self.bundle.manifest.files
        return (self.path.parent / name).is_file()

    def load(self) -> Loaded:
        """All that the graph consists of, each file read once; errors as in `read`."""
        content = self.read(self.path.name)
        tensors = external_tensors(content)
        names = sorted({tensor.file for tensor in tensors} - {self.path.name})
        beside = {name: self.read(name) for name in names}
        return Loaded(self.path, content, {self.path.name: content, **beside}, tensors)

    def _member(self, name: str) -> str:
        folder = self.path.parent.relative_to(self.bundle.path) if self.bundle is not None else Path()
        return (PurePosixPath(folder.as_posix()) / name).as_posix()

    def _beside(self, name: str) -> Path:
        pure = PurePosixPath(name)
        path = self.path.parent / name
        if name != self.path.name and (not name or pure.is_absolute() or ".." in pure.parts or not path.is_file()):
            raise ValueError(f"its values lie in {name!r}; expected a file in the folder of {self.path.name}")
        return path


@dataclass(frozen=True)
class Loaded:
    """A graph in memory.

    Args:
        path: where it lay.
        content: of its own file.
        files: contents by name, its own first and those that tensors lie in.
        tensors: whose values lie in files.
    """

    path: Path
    content: bytes = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)
    tensors: list[External] = field(repr=False)

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of every file, by name."""
        return {name: sha256_of_bytes(content) for name, content in self.files.items()}

    @property
    def fits(self) -> bool:
        """Whether the graph can be had in one piece."""
        return len(self.content) + sum(self._size(tensor) for tensor in self.tensors) <= _LARGEST

    def whole(self) -> bytes:
        """The graph in one piece, all values in it.

        Raises:
            ValueError: it does not fit, or a file is shorter than the graph says.
        """
        if not self.tensors:
            return self.content
        if not self.fits:
            raise ValueError(f"{self.path.name} has over {_LARGEST} bytes, which no vendor takes in one piece")
        return with_values(self.content, self.files)

    @contextmanager
    def private(self) -> Iterator[Path]:
        """A copy that this user alone can reach, for vendors that take what does not fit as files only.

        A vendor that maps the files keeps what they were when their names are gone.
        """
        with tempfile.TemporaryDirectory(prefix="anomedge-") as folder:
            for name, content in self.files.items():
                target = Path(folder) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            yield Path(folder) / self.path.name

    def _size(self, tensor: External) -> int:
        return len(self.files[tensor.file]) - tensor.offset if tensor.length is None else tensor.length
