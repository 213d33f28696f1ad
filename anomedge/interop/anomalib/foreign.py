"""Content of a file that anomalib wrote: tensors, hyper-parameters, preprocessing and thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from anomedge.resample import Geometry

__all__ = [
    "ForeignModel",
    "Preprocessing",
    "Source",
    "StoredThresholds",
    "Taken",
    "TakenLine",
    "TensorSource",
]

Source = Literal["file", "table", "computed", "option"]
Kind = Literal["ckpt", "pt", "onnx"]
Triple = tuple[float, float, float]


class TensorSource(Protocol):
    """A tensor of a file that is not loaded yet."""

    @property
    def dtype(self) -> torch.dtype:
        """Its type."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""

    def load(self) -> Tensor:
        """Read the values into memory of its own."""


@dataclass(frozen=True)
class TakenLine:
    """A value that an import took, with its name and its source."""

    what: str
    value: str
    source: Source

    def __str__(self) -> str:
        """Return the line for people.

        >>> str(TakenLine("size", "256x256", "table"))
        'size: 256x256 (from the table of defaults)'
        """
        return f"{self.what}: {self.value} ({_ORIGINS[self.source]})"


_ORIGINS: dict[Source, str] = {
    "file": "from the file",
    "table": "from the table of defaults",
    "computed": "computed",
    "option": "from an option",
}


@dataclass
class Taken:
    """The lines that an import gathers; the command prints them."""

    lines: list[TakenLine] = field(default_factory=list)

    def add(self, what: str, value: object, source: Source) -> None:
        """Add a line."""
        self.lines.append(TakenLine(what, str(value), source))

    def __iter__(self) -> Iterator[TakenLine]:
        """Iterate over the lines in order."""
        return iter(self.lines)


@dataclass(frozen=True)
class Preprocessing:
    """Preprocessing of pictures, as far as the file states it.

    Attributes:
        geometry: resize and central crop; None: the file does not state a size.
        mean, std: scaling of images in [0, 1] to the network's input; None: not
            stated.
        antialias: whether the resize is antialiased; None: not stated.
        is_bicubic: whether the resize is bicubic, which only some models permit.
        source: "file", or "table" if the file says that its model's default was
            used.
        note: the part of the file that states it, or the reason why it is not
            stated, for messages.
    """

    geometry: Geometry | None = None
    mean: Triple | None = None
    std: Triple | None = None
    antialias: bool | None = None
    is_bicubic: bool = False
    source: Source = "file"
    note: str = ""


@dataclass(frozen=True)
class StoredThresholds:
    """Thresholds of raw scores and maps, and their extremes; None for NaN, infinite and absent values.

    `image_range` and `pixel_range` are max - min, where the file has only that. A sensitivity that is
    present but no number is NaN.
    `threshold_matching` tells whether anomalib uses the image threshold for
    pixels, and the other way round, where one of them is not set.
    """

    image_threshold: float | None = None
    pixel_threshold: float | None = None
    image_min: float | None = None
    image_max: float | None = None
    pixel_min: float | None = None
    pixel_max: float | None = None
    image_sensitivity: float | None = None
    pixel_sensitivity: float | None = None
    image_range: float | None = None
    pixel_range: float | None = None
    threshold_matching: bool | None = None


@dataclass(frozen=True)
class ForeignModel:
    """A model of anomalib, before a detector is built from it.

    Attributes:
        path: the file.
        digest: SHA-256 of the file.
        kind: "ckpt" (Lightning checkpoint), "pt" (exported torch module) or
            "onnx" (exported graph).
        version: anomalib's version or range of versions, for messages.
        tensors: tensors by the name that they have in the torch model, such as
            `gaussian.mean`; readable while the file is open.
        arguments: hyper-parameters of the model; plain values only.
        preprocessing: preprocessing of pictures.
        thresholds: thresholds and extremes.
        class_name: name of the model's class if the file states it, else "".
        beside: SHA-256 of each file beside it that tensors have their values
            in, by name.
        fitted: whether the file says that its model is fitted; None: it does
            not say.
    """

    path: Path
    digest: str
    kind: Kind
    version: str
    tensors: Mapping[str, TensorSource]
    arguments: Mapping[str, Any]
    preprocessing: Preprocessing
    thresholds: StoredThresholds
    class_name: str = ""
    beside: Mapping[str, str] = field(default_factory=dict)
    fitted: bool | None = None
