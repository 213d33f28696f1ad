"""A graph's bytes: read and hashed once, then passed to the vendor, so that later changes of the files have no effect.

A vendor would open a path again later, without checking hashes. OpenVINO and ONNX Runtime even map the files, so that
overwriting one changes a running session, and truncating one kills the process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from anomedge.bundle import Bundle
from anomedge.bundle.operators import faults_of_ir, faults_of_onnx
from anomedge.errors import BundleError, InputError
from anomedge.files import open_plain, sha256_of_bytes
from anomedge.runtimes.external_tensors import (
    External,
    external_tensors,
    has_references,
    with_values,
)

__all__ = ["GraphContent", "GraphFile"]

_LARGEST = 2**31 - 1 - (1 << 20)
"""Largest size of a graph in one piece, in bytes: the limit of protocol buffers with a margin."""


@dataclass(frozen=True)
class GraphFile:
    """A graph's file and the files beside it that it refers to.

    Args:
        path: path of the graph's file.
        bundle: the bundle whose manifest lists the file; None for a file outside a bundle, which has no known hash.
    """

    path: Path
    bundle: Bundle | None = None

    @classmethod
    def of(cls, source: GraphFile | Path) -> GraphFile:
        """Convert a path to a GraphFile; return a GraphFile unchanged.

        Raises:
            InputError: there is no file at the path.
        """
        if isinstance(source, GraphFile):
            return source
        if not source.is_file():
            raise InputError(
                f"got {source}; expected the file of a graph: check the path"
            )
        return cls(source)

    @classmethod
    def in_bundle(cls, bundle: Bundle, name: str) -> GraphFile:
        """Return a file of a bundle.

        Raises:
            IntegrityError: the bundle's manifest does not list the file.
        """
        return cls(bundle.file(name), bundle)

    def read(self, name: str) -> bytes:
        """Read a file of the graph's folder; in a bundle, check its hash.

        Raises:
            IntegrityError: in a bundle, the manifest does not list the file, or the file was changed.
            ValueError, OSError: outside a bundle, the file lies outside the folder or cannot be read.
        """
        if self.bundle is not None:
            return self.bundle.read(self._member(name))
        with open_plain(self._beside(name)) as file:
            return file.read()

    def has(self, name: str) -> bool:
        """Whether the graph's folder holds a file of that name."""
        if self.bundle is not None:
            return self._member(name) in self.bundle.manifest.files
        return (self.path.parent / name).is_file()

    def load(self) -> GraphContent:
        """Read the ONNX graph and the files that it refers to, each once; errors as in `read`.

        Raises:
            BundleError: in a bundle, the graph has an operator or a field that the export does not write.
        """
        content = self.read(self.path.name)
        self._refuse(faults_of_onnx(content))
        tensors = external_tensors(content)
        names = sorted({tensor.file for tensor in tensors} - {self.path.name})
        beside = {name: self.read(name) for name in names}
        return GraphContent(
            self.path,
            content,
            {self.path.name: content, **beside},
            tensors,
            self.bundle is not None,
        )

    def load_ir(self) -> bytes:
        """Read the XML file of an OpenVINO IR; errors as in `load`."""
        content = self.read(self.path.name)
        self._refuse(faults_of_ir(content))
        return content

    def _refuse(self, faults: Iterator[str]) -> None:
        """Raise the first fault; a file outside a bundle may have any operator, because nothing is proven of it."""
        fault = next(faults, None) if self.bundle is not None else None
        if fault is not None:
            raise BundleError(
                f"{self.path} {fault}; expected a graph that anomedge wrote: export the bundle again"
            )

    def _member(self, name: str) -> str:
        folder = (
            self.path.parent.relative_to(self.bundle.path)
            if self.bundle is not None
            else Path()
        )
        return (PurePosixPath(folder.as_posix()) / name).as_posix()

    def _beside(self, name: str) -> Path:
        pure = PurePosixPath(name)
        path = self.path.parent / name
        if name != self.path.name and (
            not name
            or pure.is_absolute()
            or ".." in pure.parts
            or not path.is_file()
        ):
            raise ValueError(
                f"its values lie in {name!r}; expected a file in the folder of {self.path.name}"
            )
        return path


@dataclass(frozen=True)
class GraphContent:
    """A graph in memory.

    Args:
        path: path of the graph's file.
        content: content of the graph's file.
        files: contents of the graph's file and of the files with external values, by name.
        tensors: tensors with external values.
        bundled: whether the graph is a bundle's, of which every byte must be checked.
    """

    path: Path
    content: bytes = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)
    tensors: list[External] = field(repr=False)
    bundled: bool = False

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of every file, by name."""
        return {
            name: sha256_of_bytes(content)
            for name, content in self.files.items()
        }

    @property
    def fits_in_one_piece(self) -> bool:
        """Whether the graph with all values embedded is small enough for one piece."""
        return (
            len(self.content)
            + sum(self._size(tensor) for tensor in self.tensors)
            <= _LARGEST
        )

    def in_one_piece(self) -> bytes:
        """Return the graph in one piece, all values embedded.

        Raises:
            ValueError: the graph is too large, or a file is shorter than the graph states.
            BundleError: a bundle's graph still refers to a file, which the vendor would read unchecked.
        """
        if not self.fits_in_one_piece:
            raise ValueError(
                f"{self.path.name} has over {_LARGEST} bytes, which no vendor takes in one piece"
            )
        content = (
            with_values(self.content, self.files)
            if self.tensors
            else self.content
        )
        if self.bundled and has_references(content):
            raise BundleError(
                f"{self.path} refers to a file whose hash is not checked; export the bundle again"
            )
        return content

    @contextmanager
    def temporary_copy(self) -> Iterator[Path]:
        """Yield a temporary copy, accessible to this user only, for vendors that read large graphs from files only.

        The files are deleted afterwards; a vendor that mapped them keeps their content.
        """
        with tempfile.TemporaryDirectory(prefix="anomedge-") as folder:
            for name, content in self.files.items():
                target = Path(folder) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            yield Path(folder) / self.path.name

    def _size(self, tensor: External) -> int:
        return (
            len(self.files[tensor.file]) - tensor.offset
            if tensor.length is None
            else tensor.length
        )
