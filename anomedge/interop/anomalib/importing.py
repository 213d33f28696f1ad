"""Import a file of anomalib as a fitted detector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomedge.interop.anomalib.foreign import ForeignModel, Taken
from anomedge.pipelines.base import Pipeline
from anomedge.resample import Geometry

__all__ = ["Imported", "available", "import_native", "read_foreign"]

Size = tuple[int, int]


@dataclass(frozen=True)
class Imported:
    """A detector that was built from a file of anomalib.

    Attributes:
        pipeline: the fitted detector.
        geometry: how pictures become its images.
        foreign: the file's content; its tensors can no longer be read.
        taken: what was taken from where.
    """

    pipeline: Pipeline[Any, Any]
    geometry: Geometry
    foreign: ForeignModel
    taken: Taken


def available() -> list[str]:
    """Return the names of the detectors that can be built from anomalib's files, sorted."""
    raise NotImplementedError


@contextmanager
def read_foreign(path: Path | str) -> Iterator[ForeignModel]:
    """Open a `.ckpt`, a `.pt` or an `.onnx` file of anomalib; its tensors are readable within the block.

    Raises:
        ModelError: not such a file, or a damaged or hostile one.
    """
    raise NotImplementedError
    yield


def import_native(
    path: Path | str,
    *,
    detector: str | None = None,
    size: Size | None = None,
) -> Imported:
    """Build a detector from a file of anomalib.

    Args:
        path: the file.
        detector: name of the detector; None: the one that the file's tensors
            fit.
        size: (H, W) of the images, where the file does not state it; pictures
            are then stretched to this size without a crop.

    Raises:
        ModelError: not a file of anomalib, a damaged one, another model, an
            unfitted one, or a preprocessing that cannot be represented.
        InputError: an unknown detector, a missing or contradictory size.
    """
    raise NotImplementedError
