"""The certificate: comparisons made, their errors and the verdict.

A certificate is a record, not a proof: no signature covers it. Readers recompute its verdict from its rows
(`Certificate.failures`) and check that its digests match the bundle at hand (`anomedge.parity.stored`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, computed_field, model_validator

from anomedge.files import validated
from anomedge.parity.rows import (
    Cell,
    Check,
    Finding,
    Frozen,
    PictureCount,
    StageError,
    Subject,
)
from anomedge.parity.tolerances import (
    TOLERANCES,
    UINT8_PIXELS,
    WIDEST,
    Tolerance,
    release_tolerance,
)
from anomedge.parity.verdict import cautions_on, failures_of_rows, incomplete

__all__ = [
    "GOLDEN",
    "ORIGINALS",
    "TOLERANCES",
    "UINT8_PIXELS",
    "Cell",
    "Certificate",
    "Check",
    "Finding",
    "PictureCount",
    "StageError",
    "Subject",
    "Tolerance",
    "merged",
]

GOLDEN = "golden frames"
ORIGINALS = ("eager torch", GOLDEN)
"""References that hold the original detector's results; any other reference is a runtime that replaces it."""

_DERIVED = ("passed", "failures", "cautions")


class Certificate(Frozen):
    """Record of a proof of the bundle with this digest; rows of stages exist if requested, or if the proof failed.

    `passed`, `failures` and `cautions` are derived from the rows under this release's tolerances. They are written for
    readers of the file; reading a certificate ignores the stored values.

    Attributes:
        about: digests of all inputs of the verdict.
        stage_names: stages that must be compared; empty if the reference has no stages.
        widened: factor, chosen by the user, on this release's tolerances.
        vouched_by: name of the eager Torch certificate for the golden frames, if those are the reference.
        tolerances: by precision, at the time of the proof.
    """

    schema_version: Annotated[int, Field(ge=2, le=2)] = 2
    bundle: str
    about: Subject
    reference: str
    machine: dict[str, str]
    tools: dict[str, str]
    scale: float
    threshold: float
    local_thresholds: bool = False
    widened: Annotated[float, Field(ge=1, le=WIDEST)] = 1.0
    vouched_by: str = ""
    notes: tuple[str, ...] = ()
    tolerances: dict[str, Tolerance]
    pictures: PictureCount
    stage_names: tuple[str, ...] = ()
    cells: Annotated[tuple[Cell, ...], Field(max_length=256)]
    checks: Annotated[tuple[Check, ...], Field(max_length=4096)]
    stages: tuple[StageError, ...] = ()
    findings: tuple[Finding, ...] = ()

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Certificate:
        """Make a certificate from the output of `to_json`; the stored verdict is ignored.

        Raises:
            JsonError: the content is not a certificate.
        """
        return validated(
            cls,
            {
                name: value
                for name, value in content.items()
                if name not in _DERIVED
            },
        )

    @model_validator(mode="after")
    def _has_tolerances(self) -> Certificate:
        rows: list[Cell | Check | StageError | Finding] = [
            *self.cells,
            *self.checks,
            *self.stages,
            *self.findings,
        ]
        for row in rows:
            if row.precision not in TOLERANCES:
                raise ValueError(
                    f"expected precisions of this release, not {row.precision[:40]!r}"
                )
        return self

    @computed_field  # type: ignore[prop-decorator]
    @property
    def failures(self) -> tuple[str, ...]:
        """One line for each row that fails and for each missing part of the proof."""
        tolerances = {
            precision: release_tolerance(precision, self.widened)
            for precision in TOLERANCES
        }
        lines = [
            *failures_of_rows(
                self.cells, self.checks, self.stages, self.findings, tolerances
            )
        ]
        return (*lines, *incomplete(self.cells, self.checks, self.stage_names))

    @computed_field  # type: ignore[prop-decorator]
    @property
    def cautions(self) -> tuple[str, ...]:
        """One phrase for each reason why this proof is weak evidence even if it passed."""
        widened = (
            ()
            if self.widened == 1
            else (f"tolerances widened {self.widened:g} times",)
        )
        return (
            *widened,
            *self._reference_cautions(),
            *self.notes,
            *cautions_on(self.pictures, self.cells),
        )

    def _reference_cautions(self) -> tuple[str, ...]:
        if self.reference not in ORIGINALS:
            return (
                "no proof against the original: give --model, or leave out --images",
            )
        if self.reference == GOLDEN and not self.vouched_by:
            return (
                "no certificate of eager Torch is about these golden frames: only the bundle vouches for them",
            )
        return ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def passed(self) -> bool:
        """Nothing failed, and nothing is missing."""
        return not self.failures

    def without(self, places: Collection[tuple[str, str]]) -> Certificate:
        """What it says of other runtimes and precisions than these."""
        kept = {
            name: tuple(
                row
                for row in getattr(self, name)
                if (row.runtime, row.precision) not in places
            )
            for name in ("cells", "checks", "stages", "findings")
        }
        return self.model_copy(update=kept)

    @property
    def places(self) -> set[tuple[str, str]]:
        """The runtimes and precisions that it speaks of."""
        return {(cell.runtime, cell.precision) for cell in self.cells}


def merged(certificates: Sequence[Certificate]) -> Certificate:
    """Merge certificates of several precisions of one bundle, made in one run with the same pictures."""
    first = certificates[0]
    graphs: dict[str, str] = {}
    for certificate in certificates:
        graphs |= certificate.about.graphs
    return first.model_copy(
        update={
            "about": first.about.model_copy(update={"graphs": graphs}),
            "notes": _notes_of_all(certificates),
            "tolerances": {
                name: t
                for certificate in certificates
                for name, t in certificate.tolerances.items()
            },
            "cells": tuple(
                cell
                for certificate in certificates
                for cell in certificate.cells
            ),
            "checks": tuple(
                check
                for certificate in certificates
                for check in certificate.checks
            ),
            "stages": tuple(
                stage
                for certificate in certificates
                for stage in certificate.stages
            ),
            "findings": tuple(
                finding
                for certificate in certificates
                for finding in certificate.findings
            ),
        }
    )


def _notes_of_all(certificates: Sequence[Certificate]) -> tuple[str, ...]:
    """Notes that hold for the whole: a variant that one of them did not run may have been run by another."""
    first, *others = (certificate.notes for certificate in certificates)
    return tuple(
        note for note in first if all(note in notes for notes in others)
    )
