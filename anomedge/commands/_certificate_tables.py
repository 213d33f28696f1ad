"""Print a certificate: its cells, its checks and its verdict."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.table import Table
from rich.text import Text

from anomedge.commands._console import wide_console
from anomedge.parity.certificate import (
    GOLDEN,
    Cell,
    Certificate,
    CheckResult,
    PictureCount,
)
from anomedge.parity.records import FEW_LABELLED
from anomedge.parity.statements import STATED

__all__ = ["auroc_headings", "show_certificate"]

_SHOWN = {"pixels", "stage", "search"}
_CLAUSES = {"contract": "clauses kept", "bundle": "statements hold"}


def show_certificate(certificate: Certificate) -> None:
    """Print a table of cells, a table of checks, and the verdict."""
    console = wide_console()
    for table in (_cell_table(certificate), _check_table(certificate)):
        console.print(table)
    for line in (*_few_labels(certificate), certificate.verdict_line):
        console.print(line, soft_wrap=True)


def _few_labels(certificate: Certificate) -> Iterator[str]:
    """Yield a caution if an AUROC comes from few pictures, or from labels of golden frames."""
    count = certificate.pictures
    shown = any(cell.image_auroc is not None for cell in certificate.cells)
    if shown and certificate.reference == GOLDEN:
        yield f"caution: the labels behind the AUROC are {STATED}"
    if not shown or count.anomalous is None:
        return
    normal = count.labelled - count.anomalous
    if min(normal, count.anomalous) < FEW_LABELLED:
        yield (
            f"caution: image AUROC {count.of_labels} pictures: too few to tell how well the detector separates them; "
            "measure it on a test set: anomedge evaluate"
        )


def _cell_table(certificate: Certificate) -> Table:
    where = {
        f"{c.runtime} {c.version} on {c.running_on}, {c.precision}": None
        for c in certificate.cells
    }
    has_map = any(cell.map_error is not None for cell in certificate.cells)
    image_auroc, pixel_auroc = auroc_headings(certificate.pictures)
    headings = (
        "runtime", "batch", "score", "map", "batches", "flips", "margin", image_auroc, pixel_auroc, "verdict"
    )  # fmt: skip
    of_maps = () if has_map else ("map", pixel_auroc)
    table = Table(
        *(name for name in headings if name not in of_maps),
        title=f"{_pictures(certificate)}\nagainst {certificate.reference}: " + "; ".join(where),
        title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0),
    )  # fmt: skip
    for cell in certificate.cells:
        cells = {
            "runtime": _copy(cell),
            "batch": str(cell.batch),
            "score": _short(cell.score_error),
            "map": _short(cell.map_error),
            "batches": _short(cell.batch_error),
            "flips": str(len(cell.flips)),
            "margin": _short(cell.smallest_margin),
            image_auroc: _auroc(cell.image_auroc, cell.image_auroc_change),
            pixel_auroc: _auroc(cell.pixel_auroc, cell.pixel_auroc_change),
            "verdict": Text("FAILED", "red") if cell.failures else "passed",
        }
        table.add_row(
            *(text for name, text in cells.items() if name not in of_maps)
        )
    return table


def auroc_headings(count: PictureCount) -> tuple[str, str]:
    """Return the headings of image and pixel AUROC, with their counts.

    An AUROC without its counts tells nothing.
    """
    labels, masks = count.of_labels, count.of_masks
    return (
        f"image AUROC\n{labels}".replace(", ", ",\n"),
        f"pixel AUROC\n{masks}",
    )


def _check_table(certificate: Certificate) -> Table:
    table = Table(
        "runtime",
        "proof",
        "error",
        "allowed",
        "verdict",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for check in certificate.checks:
        if check.kind in _SHOWN or not check.passed:
            verdict = (
                (check.detail if check.kind == "search" else "passed")
                if check.passed
                else Text(f"FAILED: {check.detail}", "red")
            )
            error, allowed = _short(check.error), _short(check.tolerance)
            table.add_row(
                _copy(check),
                f"{check.kind} {check.name}",
                error,
                allowed,
                verdict,
            )
    clause_checks = [
        check for check in certificate.checks if check.kind in _CLAUSES
    ]
    for runtime, kind in dict.fromkeys(
        (check.runtime, check.kind) for check in clause_checks
    ):
        clauses = [
            check
            for check in certificate.checks
            if (check.runtime, check.kind) == (runtime, kind)
        ]
        kept = sum(check.passed for check in clauses)
        table.add_row(
            runtime, kind, "", "", f"{kept} of {len(clauses)} {_CLAUSES[kind]}"
        )
    return table


def _copy(proven: Cell | CheckResult) -> str:
    """Return the runtime and, unless fp32, the precision."""
    return proven.runtime + (
        "" if proven.precision == "fp32" else f" {proven.precision}"
    )


def _pictures(certificate: Certificate) -> str:
    count = certificate.pictures
    parts = {
        "blended to the threshold": count.blended,
        "blended at other levels": count.levels,
        "in other sizes": count.scaled,
        "fitted on": count.fitted,
        "extreme": count.extreme,
    }
    shown = [f"{number} {name}" for name, number in parts.items() if number]
    shown += (
        [f"{count.resized} stretched to the frame"] if count.resized else []
    )
    return (
        f"{count.total} pictures"
        + (f" ({', '.join(shown)})" if shown else "")
        + "; errors as shares of the scale"
    )


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"


def _auroc(value: float | None, change: float | None) -> str:
    """Format the copy's AUROC and, if it differs from the original's, the difference."""
    if value is None:
        return "-"
    return f"{value:.4f}" if not change else f"{value:.4f}\n({change:+.0e})"
