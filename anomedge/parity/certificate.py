"""The certificate: what was compared with what, how far off it was, and whether that passes."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "TOLERANCES",
    "Cell",
    "Certificate",
    "Check",
    "Finding",
    "PictureCount",
    "StageError",
    "Tolerance",
    "merged",
]


class _Frozen(BaseModel):
    # A number that is not finite becomes null in JSON, which has no such numbers.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        content: dict[str, Any] = json.loads(self.model_dump_json())
        return content


class Tolerance(_Frozen):
    """Largest errors allowed.

    `score`, `map` and `batch` are shares of `anomedge.threshold.scale_of_each`, `pixels` of the [0, 1] range, `stage` of a stage's spread
    over all pictures whose stages are known.
    """

    score: float
    map: float
    batch: float
    pixels: float
    stage: float


TOLERANCES = {
    "fp32": Tolerance(score=1e-4, map=1e-4, batch=1e-5, pixels=1e-5, stage=1e-4),
    # Operands rounded to ten bits, on the demonstration's pictures: 1.8e-2 of the scale, 5.3e-4 of the pixels' range.
    "tf32": Tolerance(score=3e-2, map=3e-2, batch=3e-2, pixels=1e-3, stage=3e-2),
    # Twice the worst that was measured, an extreme frame; pictures reached a third: docs/decisions/0010-half-precision.md.
    # A GPU's kernels for one batch may round otherwise than those for another.
    "fp16": Tolerance(score=1e-1, map=1e-1, batch=5e-2, pixels=1e-5, stage=5e-2),
    "fp16-storage": Tolerance(score=2e-2, map=2e-2, batch=1e-5, pixels=1e-5, stage=2e-2),
}
"""By precision; written into every manifest."""

UINT8_PIXELS = 1.01 / 255
"""Against torchvision's uint8 path, which rounds to whole grey levels after each axis: half a level twice, and one in a
hundred more for its whole-number weights (1.005 levels seen on noise)."""


class Cell(_Frozen):
    """One runtime at one batch size, on all pictures. Errors are shares of `anomedge.threshold.scale_of_each`."""

    runtime: str
    version: str
    running_on: str
    precision: str
    batch: int
    pictures: int
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


class Check(_Frozen):
    """One further check of a runtime: a stage, the pixels, a clause of the contract."""

    runtime: str
    precision: str = "fp32"
    kind: Literal["pixels", "stage", "contract"]
    name: str
    error: float | None = None
    tolerance: float | None = None
    detail: str = ""
    passed: bool


class StageError(_Frozen):
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


class Finding(_Frozen):
    """Of one runtime: the first stage that exceeds its share, None where no single one does, and what to look at."""

    runtime: str
    precision: str
    stage: str | None
    passed: bool
    text: str


class PictureCount(_Frozen):
    """How many pictures were compared, and of which kind."""

    total: int
    labelled: int
    blended: int
    fitted: int
    extreme: int
    resized: int


class Certificate(_Frozen):
    """What was proven of the bundle with this digest; stage by stage where that was asked for, or the proof failed."""

    schema_version: Annotated[int, Field(ge=1, le=1)] = 1
    bundle: str
    reference: str
    machine: dict[str, str]
    tools: dict[str, str]
    scale: float
    threshold: float
    tolerances: dict[str, Tolerance]
    pictures: PictureCount
    cells: tuple[Cell, ...]
    checks: tuple[Check, ...]
    stages: tuple[StageError, ...] = ()
    findings: tuple[Finding, ...] = ()
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Nothing failed."""
        return not self.failures

    def without(self, places: Collection[tuple[str, str]]) -> Certificate:
        """What it says of other runtimes and precisions than these."""
        kept = {
            name: tuple(row for row in getattr(self, name) if (row.runtime, row.precision) not in places)
            for name in ("cells", "checks", "stages", "findings")
        }
        return self.model_copy(update=kept)

    @property
    def places(self) -> set[tuple[str, str]]:
        """The runtimes and precisions that it speaks of."""
        return {(cell.runtime, cell.precision) for cell in self.cells}


def merged(certificates: Sequence[Certificate]) -> Certificate:
    """One certificate of several precisions of the same bundle, proven with the same pictures."""
    return certificates[0].model_copy(
        update={
            "tolerances": {name: t for certificate in certificates for name, t in certificate.tolerances.items()},
            "cells": tuple(cell for certificate in certificates for cell in certificate.cells),
            "checks": tuple(check for certificate in certificates for check in certificate.checks),
            "stages": tuple(stage for certificate in certificates for stage in certificate.stages),
            "findings": tuple(finding for certificate in certificates for finding in certificate.findings),
            "failures": tuple(line for certificate in certificates for line in certificate.failures),
        }
    )
