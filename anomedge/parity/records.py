"""Rows of a certificate: cells, checks, stage deviations, diagnoses, counts and digests."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from anomedge.bundle import contracts

__all__ = [
    "BUNDLE",
    "FEW_LABELLED",
    "Cell",
    "CheckResult",
    "Diagnosis",
    "Frozen",
    "PictureCount",
    "StageDeviation",
    "Subject",
]

BUNDLE = "bundle"
"""Placeholder for the runtime's name in checks of the bundle itself."""


class Frozen(contracts.Frozen):
    """Immutable record that refuses unknown fields.

    Numbers that are not finite become null in JSON.
    """

    model_config = ConfigDict(ser_json_inf_nan="null")

    def to_json(self) -> dict[str, Any]:
        """Convert the record to values that JSON can hold."""
        content: dict[str, Any] = json.loads(self.model_dump_json())
        return content


class Cell(Frozen):
    """One runtime at one batch size, on all pictures.

    Errors are fractions of `anomedge.threshold.scale_of_each`. `map_error` and `mask_iou` are None for a detector without
    a map, and then left out of files.
    """

    runtime: str
    version: str
    running_on: str
    precision: str
    batch: int = Field(ge=1)
    pictures: int = Field(ge=0)
    score_error: float
    map_error: float | None = None
    batch_error: float | None
    worst: str
    flips: tuple[str, ...]
    smallest_margin: float
    mask_iou: float | None = None
    image_auroc: float | None
    image_auroc_change: float | None
    pixel_auroc: float | None
    pixel_auroc_change: float | None
    failures: tuple[str, ...]

    @model_serializer(mode="wrap")
    def _without_absent_map(
        self, serialize: SerializerFunctionWrapHandler
    ) -> dict[str, Any]:
        content: dict[str, Any] = serialize(self)
        for name in ("map_error", "mask_iou"):
            if getattr(self, name) is None:
                del content[name]
        return content


class CheckResult(Frozen):
    """Result of one check: of a stage, the pixels, the contract, the bundle or an INT8 search.

    `error` and `tolerance` are None for checks without a number.
    """

    runtime: str
    precision: str = "fp32"
    kind: Literal["pixels", "stage", "contract", "bundle", "search"]
    name: str
    error: float | None = None
    tolerance: float | None = None
    detail: str = ""
    passed: bool


class StageDeviation(Frozen):
    """Own error of one stage, given the original's values of earlier stages.

    See `anomedge.parity.localise`. Stages of a backbone that are not cut apart
    share one `effect`.

    Attributes:
        error: fraction of the stage's spread (pixels: of the [0, 1] range; map
            and score: as in a cell).
        effect: resulting error of map or score; None if unknown.
        picture: name of the picture with the largest error.
        where: position of the largest error in the picture's array.
    """

    runtime: str
    precision: str
    name: str
    error: float | None
    allowed: float
    effect: float | None = None
    effect_allowed: float | None = None
    picture: str
    where: str
    passed: bool

    @property
    def exceeds_limit(self) -> bool:
        """Whether the own error exceeds the limit or is not a number."""
        return self.error is None or not self.error <= self.allowed


class Diagnosis(Frozen):
    """Result of the search for the first faulty stage under one runtime.

    `stage` is the first stage over its limit, if any; `text` adds advice.
    """

    runtime: str
    precision: str
    stage: str | None
    passed: bool
    text: str


_SizeStated = Annotated[str, Field(pattern=r"^[0-9]{1,5}x[0-9]{1,5}$")]
_SHOWN = 16

FEW_LABELLED = 20
"""Figures of fewer normal or anomalous pictures than this carry a caution."""


class PictureCount(Frozen):
    """Numbers of pictures compared, by kind.

    `distinct` counts different pictures of the user that are not uniform,
    because repeated, nearly equal and black frames are weak evidence.
    `levels` counts blends at other levels of the score than the threshold,
    `scaled` pictures that were made in other sizes; `sizes` lists the sizes of
    pictures if the bundle takes any. `nearest` is the smallest distance of a
    picture given to the threshold, as a share of the scale, None without any;
    `above` and `below` count those on each side. `anomalous` counts those of
    the labelled ones, `masked` the pictures with a mask or without a defect;
    both are None in certificates of earlier releases.
    """

    total: int
    labelled: int
    blended: int
    fitted: int
    extreme: int
    resized: int
    synthetic: int
    distinct: int
    levels: int
    scaled: int
    sizes: tuple[_SizeStated, ...]
    nearest: float | None
    above: int
    below: int
    anomalous: int | None = None
    masked: int | None = None

    @property
    def of_labels(self) -> str:
        """Text on the pictures of an image AUROC, such as "of 6 normal, 2 anomalous"."""
        if self.anomalous is None:
            return f"of {self.labelled} labelled"
        normal = self.labelled - self.anomalous
        return f"of {normal} normal, {self.anomalous} anomalous"

    @property
    def of_masks(self) -> str:
        """Text on the pictures of a pixel AUROC, such as "of 8 pictures"."""
        count = "uncounted" if self.masked is None else self.masked
        return f"of {count} pictures"

    @property
    def own(self) -> int:
        """The user's own pictures."""
        return self.total - self.generated

    @property
    def of_sizes(self) -> str:
        """Text on the sizes, such as " of sizes 64x64, 96x96"; empty where all have the frame's."""
        if not self.sizes:
            return ""
        more = len(self.sizes) - _SHOWN
        shown = ", ".join(self.sizes[:_SHOWN])
        return f" of sizes {shown}" + (f" and {more} more" if more > 0 else "")

    @property
    def by_kind(self) -> dict[str, int]:
        """The numbers of pictures by kind, without kinds of none; their sum is `total`."""
        kinds = {
            "of your own": self.own,
            "blended to lie next to the threshold": self.blended,
            "blended at other levels of the score": self.levels,
            "made in other sizes": self.scaled,
            "extreme (black, grey, white, an edge)": self.extreme,
            "synthetic": self.synthetic,
        }
        return {name: number for name, number in kinds.items() if number}

    @property
    def generated(self) -> int:
        """Pictures that the proof made."""
        blended = self.blended + self.levels
        return blended + self.scaled + self.extreme + self.synthetic


class Subject(Frozen):
    """Subject of a proof: SHA-256 digests of all inputs of the verdict.

    Attributes:
        graphs: digest of each graph file of the precisions that ran, by its name
            in the bundle.
        golden: digest of the golden frames and their stored outputs.
        decision: digest of the decision in force, local thresholds included.
        pictures: digest of the frames compared and their names, in order.
        model: digest of the model file, if eager Torch was the reference.
    """

    graphs: dict[str, str]
    golden: str
    decision: str
    pictures: str
    model: str | None = None
