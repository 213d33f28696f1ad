"""Import a file of anomalib as a fitted detector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anomedge.errors import AnomedgeError, ModelError
from anomedge.interop.anomalib.base import REGISTRY, ImportedDetector
from anomedge.interop.anomalib.checkpoint import checkpoint
from anomedge.interop.anomalib.defaults import default_of
from anomedge.interop.anomalib.foreign import (
    ForeignModel,
    StoredThresholds,
    Taken,
)
from anomedge.interop.anomalib.models import fitting
from anomedge.interop.anomalib.onnx_export import onnx_export
from anomedge.interop.anomalib.plain import entries_of
from anomedge.interop.anomalib.resolving import resolved
from anomedge.interop.anomalib.torch_export import torch_export
from anomedge.interop.archive import open_archive
from anomedge.names import printable
from anomedge.pipelines.base import Pipeline
from anomedge.resample import Geometry

__all__ = [
    "Imported",
    "available",
    "import_native",
    "native_of",
    "read_foreign",
    "thresholds_of",
]

Size = tuple[int, int]


@dataclass(frozen=True)
class Imported:
    """A detector that was built from a file of anomalib.

    Attributes:
        pipeline: the fitted detector.
        geometry: how pictures become its images.
        foreign: the file's content; its tensors can no longer be read.
        taken: each value that was taken, with its source.
    """

    pipeline: Pipeline[Any, Any]
    geometry: Geometry
    foreign: ForeignModel
    taken: Taken

    @property
    def thresholds(self) -> StoredThresholds:
        """Thresholds and extremes of the file."""
        return self.foreign.thresholds

    @property
    def version(self) -> str:
        """anomalib's version, or its range of versions."""
        return self.foreign.version

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return self.foreign.digest


def available() -> list[str]:
    """Return the names of the detectors that can be built from anomalib's files, sorted."""
    return REGISTRY.names()


@contextmanager
def read_foreign(path: Path | str) -> Iterator[ForeignModel]:
    """Open a `.ckpt`, a `.pt` or an `.onnx` file of anomalib; its tensors are readable within the block.

    Raises:
        ModelError: not such a file, or a damaged or hostile one.
    """
    path = Path(path)
    if path.suffix.lower() == ".onnx":
        with ExitStack() as stack:
            with _named(path):
                foreign = stack.enter_context(onnx_export(path))
            yield foreign
        return
    with open_archive(path) as archive:
        is_checkpoint = "state_dict" in entries_of(archive.content)
        read = checkpoint if is_checkpoint else torch_export
        with _named(path):
            foreign = read(path, archive.digest, archive.content)
        yield foreign


def import_native(
    path: Path | str,
    detector: str | None = None,
    size: Size | None = None,
    taken: Taken | None = None,
) -> Imported:
    """Open a file of anomalib and build a detector from it; see `native_of`."""
    with read_foreign(path) as foreign:
        return native_of(foreign, detector, size, taken)


def native_of(
    foreign: ForeignModel,
    detector: str | None = None,
    size: Size | None = None,
    taken: Taken | None = None,
) -> Imported:
    """Build a detector from an open file.

    Args:
        foreign: the file.
        detector: name of the detector; None: the one that the file's tensors
            fit.
        size: (H, W) of the images, where the file does not state it; pictures
            are then stretched to this size without a crop.
        taken: gets a line for each value that is taken; None: a new one.

    Raises:
        ModelError: not a file of anomalib, a damaged one, another model, an
            unfitted one, or a preprocessing that cannot be represented.
        InputError: an unknown detector, a missing or contradictory size.
    """
    taken = Taken() if taken is None else taken
    with _named(foreign.path):
        kind = _detector(foreign, detector)
        taken.add(
            "detector",
            f"{kind.name}, of anomalib {foreign.version}",
            "option" if detector else "file",
        )
        _say_unfitted(foreign, taken)
        for name, digest in foreign.beside.items():
            taken.add("values", f"in {name}, SHA-256 {digest}", "file")
        default = default_of(foreign.version, kind.name)
        preprocessing, geometry = resolved(foreign, default, size, taken)
        foreign = replace(foreign, preprocessing=preprocessing)
        pipeline = kind.build(foreign, geometry.image, taken)
    return Imported(pipeline, geometry, foreign, taken)


def thresholds_of(
    foreign: ForeignModel, detector: str | None, taken: Taken
) -> StoredThresholds:
    """Return the thresholds of an open file in the units of its detector's scores.

    Args:
        foreign: the file.
        detector: name of the detector; None: the one that the file's tensors
            fit.
        taken: gets a line for each value that is changed.

    Raises:
        ModelError, InputError: as `native_of`.
    """
    with _named(foreign.path):
        return _detector(foreign, detector).thresholds(foreign, taken)


def _detector(
    foreign: ForeignModel, name: str | None
) -> type[ImportedDetector]:
    """Return the detector of a name, or the only one that the file's tensors fit.

    Raises:
        InputError: an unknown name.
        ModelError: no detector fits, or several do.
    """
    if name is not None:
        return REGISTRY.get(name)
    members = REGISTRY.members()
    found = [kind for kind in members.values() if kind.matches(foreign)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(kind.name for kind in found)
        raise ModelError(
            f"got tensors that fit several detectors ({names}); expected one: choose it with --detector"
        )
    raise ModelError(_of_another_model(foreign, list(members)))


def _of_another_model(foreign: ForeignModel, known: list[str]) -> str:
    """Return the message on a file that fits no native detector."""
    expected = f"expected those of one of: {', '.join(known)}"
    plain = {name.replace("_", "") for name in known}
    others = [
        model.name
        for model in fitting(list(foreign.tensors), foreign.class_name)
        if model.name.lower() not in plain
    ]
    if others:
        return (
            f"got tensors of anomalib's {' or '.join(others)}, which has no native import; {expected}: "
            f"import it with `anomedge import --with-anomalib`"
        )
    first = ", ".join(list(foreign.tensors)[:3])
    return f"got tensors of no known model of anomalib ({first}, ...); {expected}: choose it with --detector"


def _say_unfitted(foreign: ForeignModel, taken: Taken) -> None:
    if foreign.fitted is False:
        taken.add(
            "fitted",
            "no, says the file (_is_fitted), though it has statistics: make sure that they are the model's",
            "file",
        )


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Put the file's name in front of messages, and keep them in one line: names in a file may contain line feeds."""
    try:
        yield
    except AnomedgeError as error:
        raise type(error)(printable(f"{path}: {error}")) from error
