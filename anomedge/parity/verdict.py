"""Compute the verdict on the rows of a certificate from their numbers; a verdict stored in a file is never used."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from anomedge.parity.records import (
    BUNDLE,
    Cell,
    CheckResult,
    Diagnosis,
    PictureCount,
    StageDeviation,
)
from anomedge.parity.tolerances import Tolerance

__all__ = [
    "CLAUSES",
    "FEW",
    "MAP_CLAUSE",
    "Errors",
    "cautions_on",
    "cautions_on_separation",
    "composition_at",
    "copies_at",
    "failures_of_cell",
    "failures_of_rows",
    "incomplete",
]

MAP_CLAUSE = "output anomaly_map"
CLAUSES = (
    "output score",
    MAP_CLAUSE,
    "refuses float frames",
    "refuses another size",
    "refuses one channel",
    "refuses no batch axis",
    "refuses an empty batch",
    "refuses another name",
)
"""Clauses of the contract that every proof of a runtime checks; that of the map for a detector with one."""

FEW = 5
"""The verdict carries a caution if there are fewer distinct pictures than this."""

_FAR_FROM_THRESHOLD = 0.25
"""Share of the scale; if no picture given is nearer to the threshold than this, flipped labels could go undetected."""


_NO_SEPARATION = (0.4, 0.6)
"""AUROC of a detector that separates nothing; chance gives 0.5."""
_LEAST_OF_A_KIND = 10
"""With fewer normal or anomalous pictures, such an AUROC may be chance."""


class Errors(Protocol):
    """Common fields of a cell and a difference."""

    @property
    def score_error(self) -> float: ...  # noqa: D102
    @property
    def map_error(self) -> float | None: ...  # noqa: D102
    @property
    def worst(self) -> str: ...  # noqa: D102
    @property
    def flips(self) -> tuple[str, ...]: ...  # noqa: D102


def copies_at(batch: int) -> str:
    """Return the name of the check that runs copies of one picture as a batch."""
    return f"copies at batch {batch}"


def composition_at(batch: int) -> str:
    """Return the name of the check that runs the pictures beside other neighbours."""
    return f"composition at batch {batch}"


def failures_of_cell(
    errors: Errors, batch_error: float | None, tolerance: Tolerance
) -> tuple[str, ...]:
    """List the failures of a cell, one line each; a number that is negative or not finite fails."""
    measured = {
        "score": (errors.score_error, tolerance.score),
        "map": (errors.map_error, tolerance.map),
        "batch": (batch_error or 0.0, tolerance.batch),
    }
    lines = [
        f"{name} off by {error:.2e} of the scale; allowed {allowed:.0e} (worst: {errors.worst})"
        for name, (error, allowed) in measured.items()
        if error is not None and not _within(error, allowed)
    ]
    if errors.flips:
        lines.append(
            f"{len(errors.flips)} labels flipped: {', '.join(errors.flips[:5])}"
        )
    return tuple(lines)


def failures_of_rows(
    cells: Sequence[Cell],
    checks: Sequence[CheckResult],
    stages: Sequence[StageDeviation],
    findings: Sequence[Diagnosis],
    tolerances: dict[str, Tolerance],
) -> Iterator[str]:
    """Yield one line per failed row: checks of the bundle, findings, stages, cells, then the other checks."""
    yield from _lines_of_checks(
        (check for check in checks if check.runtime == BUNDLE), tolerances
    )
    for finding in findings:
        if not finding.passed:
            yield f"{_place(finding)}: {finding.text}"
    failed_findings = {
        (f.runtime, f.precision) for f in findings if not f.passed
    }
    for row in stages:
        if (
            row.runtime,
            row.precision,
        ) not in failed_findings and not _stage_passes(
            row, tolerances[row.precision]
        ):
            yield f"{_place(row)}: stage {row.name} exceeds its share"
    for cell in cells:
        for line in _lines_of_cell(cell, tolerances[cell.precision]):
            yield f"{_place(cell)} batch {cell.batch}: {line}"
    yield from _lines_of_checks(
        (check for check in checks if check.runtime != BUNDLE), tolerances
    )


def incomplete(
    cells: Sequence[Cell], checks: Sequence[CheckResult], stages: Sequence[str]
) -> Iterator[str]:
    """Yield one line per missing part of a proof, because a proof without comparisons proves nothing.

    Args:
        cells: cells of all runtimes.
        checks: checks of all runtimes.
        stages: names of the stages that must be compared; empty if the reference has no stages.
    """
    if not cells:
        yield "nothing was compared: there is no cell"
    made: dict[tuple[str, str], set[str]] = {
        (cell.runtime, cell.precision): set() for cell in cells
    }
    for check in checks:
        made.setdefault((check.runtime, check.precision), set()).add(check.name)
    have_map = {
        (cell.runtime, cell.precision)
        for cell in cells
        if cell.map_error is not None
    }
    for runtime, precision in dict.fromkeys(
        (cell.runtime, cell.precision) for cell in cells
    ):
        where = runtime + ("" if precision == "fp32" else f" {precision}")
        if left_out := [
            name
            for name in (*CLAUSES, *stages)
            if name not in made[runtime, precision]
            and (name != MAP_CLAUSE or (runtime, precision) in have_map)
        ]:
            yield f"{where}: not checked: {', '.join(left_out[:5])}"
    for cell in cells:
        named = made[cell.runtime, cell.precision].union(stages)
        if cell.map_error is None and named & {MAP_CLAUSE, "anomaly_map"}:
            yield f"{_place(cell)} batch {cell.batch}: no map was compared"
        for name in (copies_at(cell.batch), composition_at(cell.batch)):
            if (
                cell.batch > 1
                and name not in made[cell.runtime, cell.precision]
            ):
                yield f"{_place(cell)}: not checked: {name}"
        if cell.pictures < 1:
            yield f"{_place(cell)} batch {cell.batch}: no picture was compared"


def cautions_on(pictures: PictureCount) -> Iterator[str]:
    """Yield one phrase per reason why a proof is weak evidence even if it passed."""
    if pictures.distinct < FEW:
        own = (
            f"{pictures.own} of your own"
            if pictures.own
            else "none of your own"
        )
        alike = pictures.own - pictures.distinct
        yield f"few pictures: {own}" + (
            f", {alike} of them uniform, repeated or nearly equal"
            if alike > 0
            else ""
        )
    if pictures.resized:
        yield f"{pictures.resized} of {pictures.total} pictures were stretched to the frame"
    if pictures.own > 0:
        yield from _cautions_on_scores(pictures)


def _cautions_on_scores(pictures: PictureCount) -> Iterator[str]:
    """Yield one phrase per reason why the scores of the pictures given are weak evidence; blends do not stand for them."""
    if not pictures.above or not pictures.below:
        side = "below" if pictures.above else "above"
        yield f"none of the pictures given is {side} the threshold: a label of that side could be wrong unseen"
    nearest = pictures.nearest
    if nearest is not None and nearest <= _FAR_FROM_THRESHOLD:
        return
    where = (
        ""
        if nearest is None
        else f" (the nearest is {nearest:.2g} scales away)"
    )
    tested = (
        "only generated blends tested it"
        if pictures.blended
        else "a flip could go unseen"
    )
    yield f"none of your pictures is near the threshold{where}: {tested}"


def cautions_on_separation(
    cells: Iterable[Cell], pictures: PictureCount
) -> Iterator[str]:
    """Yield a phrase if the scores of enough labelled pictures do not tell anomalous from normal ones.

    A copy of a detector that separates nothing passes like any other.
    """
    anomalous = pictures.anomalous or 0
    if min(anomalous, pictures.labelled - anomalous) < _LEAST_OF_A_KIND:
        return
    low, high = _NO_SEPARATION
    for cell in cells:
        if cell.image_auroc is not None and low <= cell.image_auroc <= high:
            yield (
                f"the detector separates nothing: image AUROC {cell.image_auroc:.2f} {pictures.of_labels}; measure it with "
                f"`anomedge evaluate`"
            )
            return


def _within(error: float, allowed: float) -> bool:
    return math.isfinite(error) and 0 <= error <= allowed


def _lines_of_cell(cell: Cell, tolerance: Tolerance) -> tuple[str, ...]:
    """List the failures of a cell, recomputed from its numbers; failures stored in the cell count as well."""
    lines = failures_of_cell(cell, cell.batch_error, tolerance) or cell.failures
    if cell.batch > 1 and cell.batch_error is None:
        return (*lines, "not compared with single pictures")
    return lines


def _lines_of_checks(
    checks: Iterable[CheckResult], tolerances: dict[str, Tolerance]
) -> Iterator[str]:
    for check in checks:
        if not _check_passes(check, tolerances[check.precision]):
            detail = check.detail or "more than is allowed"
            yield f"{_place(check)} {_title(check)}: {detail}"


def _check_passes(check: CheckResult, tolerance: Tolerance) -> bool:
    """Whether a check passed and its error is within this release's tolerance, or within its own for other kinds."""
    if check.kind in {"pixels", "stage"}:
        return (
            check.passed
            and check.error is not None
            and _within(check.error, tolerance.at(check.name))
        )
    if check.error is not None and check.tolerance is not None:
        return check.passed and _within(check.error, check.tolerance)
    return check.passed


def _stage_passes(row: StageDeviation, tolerance: Tolerance) -> bool:
    if row.error is None or not row.passed:
        return False
    effect_allowed = max(tolerance.map, tolerance.score)
    return _within(row.error, tolerance.at(row.name)) and _within(
        row.effect or 0.0, effect_allowed
    )


def _place(row: Cell | CheckResult | StageDeviation | Diagnosis) -> str:
    return row.runtime + (
        "" if row.precision == "fp32" else f" {row.precision}"
    )


def _title(check: CheckResult) -> str:
    return (
        check.name if check.kind == "bundle" else f"{check.kind} {check.name}"
    )
