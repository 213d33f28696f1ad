"""The rows of a certificate: cells, checks, stages, findings, the pictures, and what the proof was about."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["BUNDLE", "Cell", "Check", "Finding", "Frozen", "PictureCount", "StageError", "Subject"]

BUNDLE = "bundle"
"""Stands for a runtime in checks of the bundle itself, which no runtime had a part in."""


class Frozen(BaseModel):
    """Immutable, without fields that it does not know; JSON has null for a number that is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        content: dict[str, Any] = json.loads(self.model_dump_json())
        return content


class Cell(Frozen):
    """One runtime at one batch size, on all pictures. Errors are shares of `anomedge.threshold.scale_of_each`."""

    runtime: str
    version: str
    running_on: str
    precision: str
    batch: int = Field(ge=1)
    pictures: int = Field(ge=0)
    score_error: float
    map_error: float
    batch_error: float | None
    worst: str
    flips: tuple[str, ...]
    smallest_margin: float
    mask_iou: float
    image_auroc: float | None
    image_auroc_change: float | None
    pixel_auroc: float | None
    pixel_auroc_change: float | None
    failures: tuple[str, ...]


class Check(Frozen):
    """One further check: a stage, the pixels, a clause of the contract, or the bundle itself."""

    runtime: str
    precision: str = "fp32"
    kind: Literal["pixels", "stage", "contract", "bundle"]
    name: str
    error: float | None = None
    tolerance: float | None = None
    detail: str = ""
    passed: bool


class StageError(Frozen):
    """What one stage does by itself, from right values of the stages before it; see `anomedge.parity.localise`.

    `error` is a share of the stage's spread (pixels: of the [0, 1] range; map and score: as a cell's), `effect` what
    becomes of it in map or score, None where that is not known; `picture` and `where` are those of the largest error. Levels
    of a backbone between which nothing is cut have one `effect`.
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
    def makes_too_much(self) -> bool:
        """The error is more than allowed, or no number."""
        return self.error is None or not self.error <= self.allowed


class Finding(Frozen):
    """Of one runtime: the first stage that exceeds its share, None where no single one does, and what to look at."""

    runtime: str
    precision: str
    stage: str | None
    passed: bool
    text: str


class PictureCount(Frozen):
    """How many pictures were compared, and of which kind.

    `distinct` counts the user's own pictures that differ from one another and are not uniform: two black frames show
    nothing that one would not, and little that none would not.
    """

    total: int
    labelled: int
    blended: int
    fitted: int
    extreme: int
    resized: int
    synthetic: int
    distinct: int

    @property
    def own(self) -> int:
        """The user's own pictures."""
        return self.total - self.blended - self.extreme - self.synthetic


class Subject(Frozen):
    """What a proof was about: SHA-256 digests of everything that its verdict rests on.

    Attributes:
        graphs: of every file that a runtime was given, by its name in the bundle.
        golden: of the golden frames and of what the bundle says of them.
        decision: of the decision in force, a device's own thresholds included.
        pictures: of the frames compared, with their names, in their order.
        model: of the model file, where eager Torch was the reference.
    """

    graphs: dict[str, str]
    golden: str
    decision: str
    pictures: str
    model: str | None = None
