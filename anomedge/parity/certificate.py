"""The certificate: what was compared with what, how far off it was, and whether that passes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["TOLERANCES", "Cell", "Certificate", "Check", "PictureCount", "Tolerance", "merged"]


class _Frozen(BaseModel):
    # A number that is not finite becomes null in JSON, which has no such numbers.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        content: dict[str, Any] = json.loads(self.model_dump_json())
        return content


class Tolerance(_Frozen):
    """Largest errors allowed.

    `score`, `map` and `batch` are shares of the fixed scale, `pixels` of the [0, 1] range, `stage` of a stage's own
    largest value.
    """

    score: float
    map: float
    batch: float
    pixels: float
    stage: float


TOLERANCES = {
    "fp32": Tolerance(score=1e-4, map=1e-4, batch=1e-5, pixels=1e-5, stage=1e-4),
    "fp16-storage": Tolerance(score=2e-2, map=2e-2, batch=1e-5, pixels=1e-5, stage=2e-2),
}
"""By precision; written into every manifest."""

UINT8_PIXELS = 1.01 / 255
"""Against torchvision's uint8 path, which rounds to whole grey levels after each axis: half a level twice, and one in a
hundred more for its whole-number weights (1.005 levels seen on noise)."""


class Cell(_Frozen):
    """One runtime at one batch size, on all pictures. Errors are shares of the fixed scale."""

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


class PictureCount(_Frozen):
    """How many pictures were compared, and of which kind."""

    total: int
    labelled: int
    blended: int
    fitted: int
    extreme: int
    resized: int


class Certificate(_Frozen):
    """What was proven of the bundle with this digest."""

    schema_version: Literal[1] = 1
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
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Nothing failed."""
        return not self.failures


def merged(certificates: Sequence[Certificate]) -> Certificate:
    """One certificate of several precisions of the same bundle, proven with the same pictures."""
    return certificates[0].model_copy(
        update={
            "tolerances": {name: t for certificate in certificates for name, t in certificate.tolerances.items()},
            "cells": tuple(cell for certificate in certificates for cell in certificate.cells),
            "checks": tuple(check for certificate in certificates for check in certificate.checks),
            "failures": tuple(line for certificate in certificates for line in certificate.failures),
        }
    )
