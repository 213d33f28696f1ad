"""The certificate: comparisons made, their errors and the verdict.

A certificate is a record, not a proof: no signature covers it. Readers recompute its verdict from its rows
(`Certificate.failures`) and check that its digests match the bundle at hand (`anomedge.parity.stored`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, computed_field, model_validator

from anomedge.files import validated
from anomedge.parity.notes import NOT_RUN
from anomedge.parity.records import (
    BUNDLE,
    Cell,
    CheckResult,
    Diagnosis,
    Frozen,
    PictureCount,
    StageDeviation,
    Subject,
)
from anomedge.parity.reference import GOLDEN, ORIGINALS
from anomedge.parity.tolerances import (
    TOLERANCES,
    UINT8_PIXELS,
    WIDEST,
    Tolerance,
    release_tolerance,
)
from anomedge.parity.verdict import (
    cautions_on,
    cautions_on_separation,
    failures_of_rows,
    incomplete,
)

__all__ = [
    "GOLDEN",
    "ORIGINALS",
    "SCHEMA",
    "TOLERANCES",
    "UINT8_PIXELS",
    "Cell",
    "Certificate",
    "CheckResult",
    "Diagnosis",
    "PictureCount",
    "StageDeviation",
    "Subject",
    "Tolerance",
    "failure_text",
    "merged",
]

SCHEMA = 4
"""Version of the file's form; from 4 on, files count the pictures given on each side of the threshold."""

_DERIVED = ("passed", "failures", "cautions")
_ROWS = ("cells", "checks", "stages", "findings")
_MOST_SHOWN = 12


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

    schema_version: Annotated[int, Field(ge=SCHEMA, le=SCHEMA)] = SCHEMA
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
    checks: Annotated[tuple[CheckResult, ...], Field(max_length=4096)]
    stages: tuple[StageDeviation, ...] = ()
    findings: tuple[Diagnosis, ...] = ()

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
        for _, precision in self.places_of_rows:
            if precision not in TOLERANCES:
                raise ValueError(
                    f"expected precisions of this release, not {precision[:40]!r}"
                )
        return self

    @computed_field  # type: ignore[prop-decorator]
    @property
    def failures(self) -> tuple[str, ...]:
        """One line for each row that fails and for each missing part of the proof."""
        return (*self.failed_rows, *self.missing_rows)

    @property
    def failed_rows(self) -> tuple[str, ...]:
        """One line for each row that fails under this release's tolerances."""
        tolerances = {
            precision: release_tolerance(precision, self.widened)
            for precision in TOLERANCES
        }
        return tuple(
            failures_of_rows(
                self.cells, self.checks, self.stages, self.findings, tolerances
            )
        )

    @property
    def missing_rows(self) -> tuple[str, ...]:
        """One line for each missing part; `anomedge.parity.completeness` knows more, from the bundle."""
        return tuple(incomplete(self.cells, self.checks, self.stage_names))

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
            *self.reference_cautions,
            *self.notes,
            *cautions_on(self.pictures),
            *cautions_on_separation(self.cells, self.pictures),
        )

    @property
    def reference_cautions(self) -> tuple[str, ...]:
        """One phrase if nothing but the bundle vouches for the reference."""
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
        """Whether no row fails and no part of the proof is missing."""
        return not self.failures

    def without(self, places: Collection[tuple[str, str]]) -> Certificate:
        """Return a copy without the rows of these runtimes and precisions.

        Checks of the bundle itself stay with the precisions that are left.
        """
        left = {p for r, p in self.places_of_rows - {*places} if r != BUNDLE}
        gone = {(BUNDLE, precision) for _, precision in places}
        dropped = {*places} | gone - {(BUNDLE, p) for p in left}
        kept = {
            name: tuple(
                row
                for row in getattr(self, name)
                if (row.runtime, row.precision) not in dropped
            )
            for name in _ROWS
        }
        return self.model_copy(update=kept)

    @property
    def places(self) -> set[tuple[str, str]]:
        """Pairs of runtime and precision that have cells."""
        return {(cell.runtime, cell.precision) for cell in self.cells}

    @property
    def places_of_rows(self) -> set[tuple[str, str]]:
        """Pairs of runtime, or "bundle", and precision that have rows of any kind."""
        rows: list[Cell | CheckResult | StageDeviation | Diagnosis] = [
            *self.cells,
            *self.checks,
            *self.stages,
            *self.findings,
        ]
        return {(row.runtime, row.precision) for row in rows}

    @property
    def verdict_line(self) -> str:
        """The verdict in one line, followed by its cautions, if any."""
        count = self.pictures.total
        if not self.passed:
            return f"FAILED against {self.reference} on {count} pictures"
        batches = ", ".join(
            str(batch)
            for batch in dict.fromkeys(cell.batch for cell in self.cells)
        )
        vouched = (
            f" (for which {self.vouched_by} vouches, unsigned)"
            if self.vouched_by
            else ""
        )
        line = f"passed against {self.reference}{vouched} on {count} pictures{self.pictures.of_sizes} at batch {batches}"
        return "; caution: ".join([line, *self.cautions])


def failure_text(certificate: Certificate, consequence: str) -> str:
    """Format the failures as one message; the first twelve are listed."""
    failures = certificate.failures
    shown = "\n  ".join(failures[:_MOST_SHOWN])
    more = len(failures) - _MOST_SHOWN
    text = f"the proof failed, {consequence}:\n  {shown}"
    return f"{text}\n  and {more} more" if more > 0 else text


def merged(certificates: Sequence[Certificate]) -> Certificate:
    """Merge certificates of several precisions of one bundle.

    They must be made in one run with the same pictures.
    """
    first = certificates[0]
    graphs: dict[str, str] = {}
    tolerances: dict[str, Tolerance] = {}
    rows: dict[str, tuple[Any, ...]] = dict.fromkeys(_ROWS, ())
    for certificate in certificates:
        graphs |= certificate.about.graphs
        tolerances |= certificate.tolerances
        for name in _ROWS:
            rows[name] += getattr(certificate, name)
    return first.model_copy(
        update={
            "about": first.about.model_copy(update={"graphs": graphs}),
            "notes": _common_notes(certificates),
            "tolerances": tolerances,
            **rows,
        }
    )


def _common_notes(certificates: Sequence[Certificate]) -> tuple[str, ...]:
    """Return the notes of all certificates; those on parts that were not run only if all share them.

    A variant that one of them did not run may have been run by another.
    """
    notes = [note for one in certificates for note in one.notes]
    return tuple(
        note
        for note in dict.fromkeys(notes)
        if not note.startswith(NOT_RUN)
        or notes.count(note) == len(certificates)
    )
