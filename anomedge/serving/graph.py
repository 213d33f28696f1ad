"""The graph that a server runs: its files, its input and its outputs, as the graph's own file states them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from anomedge.bundle import Bundle
from anomedge.bundle.interface import Value, interface_of_onnx
from anomedge.bundle.operators import faults_of_onnx
from anomedge.bundle.protobuf import Spoilt
from anomedge.bundle.variants import MODEL, Variant
from anomedge.errors import BundleError, InputError
from anomedge.layouts import LAYOUTS, Frames, Layout

__all__ = ["ServedGraph", "served_graph"]


@dataclass(frozen=True)
class ServedGraph:
    """A graph of a bundle, for a server.

    Attributes:
        bundle: the bundle.
        layout: the layout of its input.
        precision: the precision of its variant.
        input, outputs: as its file states them; None stands for any batch size.
        largest: largest batch that a graph with an open batch gets.
    """

    bundle: Bundle
    layout: type[Layout]
    precision: str
    input: Value
    outputs: tuple[Value, ...]
    largest: int

    @property
    def is_dynamic(self) -> bool:
        """Whether the batch is open."""
        return self.input.shape[0] is None

    @property
    def role(self) -> str:
        """Role of the graph in the manifest."""
        return self.layout.name if self.layout.adds_graph else MODEL

    @property
    def title(self) -> str:
        """Name of the bundle and the layout, of characters that every server takes."""
        stem = f"{self.bundle.path.resolve().stem}-{self.layout.name}"
        return "".join(c if c.isascii() and c.isalnum() else "-" for c in stem)

    def shape(self, batch: int) -> tuple[int, ...]:
        """Return the input's shape at a batch size."""
        return tuple(
            batch if size is None else size for size in self.input.shape
        )

    def onnx_file(self) -> str:
        """Return the name of the ONNX file."""
        return _file(self._variant.graph(self.role))

    def ir_file(self) -> str | None:
        """Return the name of the XML file of the IR; None for a bundle without one."""
        name = self._variant.find(self.role, "openvino")
        return None if name is None else _file(name)

    def copy_onnx(self, folder: Path) -> None:
        """Copy the ONNX file, and the files that hold its weights, whose names it states."""
        model = self._variant.graph()
        names = {self._variant.graph(self.role), model, f"{model}.data"}
        self._copy(names & self.bundle.manifest.files.keys(), folder)

    def copy_ir(self, folder: Path) -> None:
        """Copy both files of the IR.

        Raises:
            BundleError: the bundle has none.
        """
        name = self._variant.graph(self.role, "openvino")
        self._copy({name, name.removesuffix(".xml") + ".bin"}, folder)

    @property
    def _variant(self) -> Variant:
        return self.bundle.variant(self.precision)

    def _copy(self, names: set[str], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in sorted(names):
            (folder / _file(name)).write_bytes(self.bundle.read(name))


def served_graph(
    bundle: Bundle,
    layout: str | None,
    wanted: Sequence[str],
    precision: str,
    largest: int,
) -> ServedGraph:
    """Return the graph of a layout.

    Args:
        bundle: the bundle.
        layout: a layout's name; None for the first wanted one that the bundle has.
        wanted: layouts that the server can feed, the preferred one first; empty for any.
        precision: the precision of its variant.
        largest: largest batch that a graph with an open batch gets.

    Raises:
        InputError: the bundle has no such layout, or the server cannot feed it.
        BundleError: its file cannot be read.
    """
    variant = bundle.variant(precision)
    present = [Frames.name, *variant.layouts()]
    usable = [name for name in wanted or present if name in present]
    if layout is not None:
        usable = [name for name in usable if name == LAYOUTS.get(layout).name]
    if not usable:
        asked = f" and --layout {layout}" if layout else ""
        raise InputError(
            f"got {bundle.path} with the layouts {', '.join(present)} in {precision}{asked}; "
            f"expected {' or '.join(wanted or present)}: export with --layout {wanted[0] if wanted else layout}"
        )
    chosen = LAYOUTS.get(usable[0])
    role = chosen.name if chosen.adds_graph else MODEL
    name = variant.graph(role)
    content = bundle.read(name)
    try:
        fault = next(faults_of_onnx(content), None)
        found = interface_of_onnx(content)
    except Spoilt as error:
        raise BundleError(f"{bundle.path}: {name} {error}") from error
    if fault is not None or len(found.inputs) != 1:
        raise BundleError(
            f"{bundle.path}: {name} {fault or 'has several inputs'}; expected a graph that the export wrote: run verify"
        )
    return ServedGraph(
        bundle, chosen, precision, found.inputs[0], found.outputs, largest
    )


def _file(name: str) -> str:
    return PurePosixPath(name).name
