"""Judge whether a stored certificate states everything that an honest proof of its plan states.

Anyone can delete or rename rows of a file. So rows, counts and digests are compared with those that a proof of these
runtimes, precisions and batch sizes always writes (`anomedge.parity.expected`).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from anomedge.bundle import Manifest
from anomedge.names import printable
from anomedge.parity.certificate import Certificate
from anomedge.parity.expected import (
    Row,
    checks_left_out,
    checks_of_bundle,
    checks_of_runtime,
    graphs_of,
)
from anomedge.parity.records import BUNDLE, Cell, CheckResult, PictureCount
from anomedge.parity.reference import (
    EAGER,
    GOLDEN,
    ORIGINALS,
    RUNTIMES_ONLY,
)
from anomedge.parity.tolerances import release_tolerance
from anomedge.runtimes import precision_modes

__all__ = ["missing_parts"]

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SHOWN = 3
_OF_ACCELERATORS = {"tf32"}
"""Modes that no CPU has."""
_CPU = re.compile(r"\W*cpu", re.IGNORECASE)
"""Beginning of the CPU's name in every runtime's notation."""
Place = tuple[str, str]
Made = dict[Place, list[CheckResult]]


def missing_parts(
    certificate: Certificate, manifest: Manifest
) -> Iterator[str]:
    """Yield one line per part of a proof that a certificate about this bundle lacks or that no proof writes.

    Args:
        certificate: a certificate whose precisions are variants of the bundle.
        manifest: the bundle's manifest.
    """
    yield from _of_reference(certificate)
    yield from _of_counts(certificate, manifest)
    yield from _of_cells(certificate, manifest)
    made = _by_place(certificate.checks)
    for precision in sorted({p for _, p in certificate.places}):
        yield from _of_bundle(certificate, manifest, precision, made)
        yield from _of_graphs(certificate, manifest, precision)
        yield from _of_runtimes(certificate, manifest, precision, made)
    for place in sorted(certificate.places):
        yield from _of_examined_stages(certificate, manifest, place)
    yield from _of_strangers(certificate)


def _of_reference(certificate: Certificate) -> Iterator[str]:
    reference, about = certificate.reference, certificate.about
    runtime = reference.removesuffix(RUNTIMES_ONLY)
    if reference not in ORIGINALS and (
        runtime == reference or not _PLAIN.fullmatch(runtime)
    ):
        yield f"no proof has the reference {_quoted([reference])}"
    if (about.model is not None) != (reference == EAGER):
        yield "a proof states a model file if its reference is eager torch, and only then"
    digests = (about.pictures, about.model or about.pictures)
    if not all(_DIGEST.fullmatch(digest) for digest in digests):
        yield "it states no digest of its pictures or of its model file"


def _of_counts(certificate: Certificate, manifest: Manifest) -> Iterator[str]:
    count = certificate.pictures
    if count.total < 1:
        yield "no picture was compared"
    for name, most in _bounds(count).items():
        found = getattr(count, name)
        if found is not None and not 0 <= found <= most:
            yield f"{name} is {found:.6g}; expected 0 to {most:.6g}"
    if count.nearest is not None and not 0 <= count.nearest < math.inf:
        yield f"nearest is {count.nearest:.3g}; expected 0 or more"
    if bool(count.sizes) != (manifest.input.resize is not None):
        yield "a proof states sizes of pictures if the bundle takes any, and only then"
    golden = len(manifest.golden)
    if certificate.reference == GOLDEN and count.total != golden:
        yield f"{count.total:.6g} pictures; the bundle has {golden} golden frames"


def _bounds(count: PictureCount) -> dict[str, int]:
    """Return the largest possible number of pictures of each kind."""
    bounds = dict.fromkeys(PictureCount.model_fields, max(count.total, 0))
    others = (count.blended, count.levels, count.scaled, count.extreme)
    bounds["synthetic"] -= sum(max(0, other) for other in others)
    # A distance, and texts.
    del bounds["nearest"], bounds["sizes"]
    return bounds | {
        "distinct": max(0, count.own),
        "anomalous": max(0, count.labelled),
    }


def _of_cells(certificate: Certificate, manifest: Manifest) -> Iterator[str]:
    cells, fixed = certificate.cells, manifest.input.batch
    modes = precision_modes()
    batches = {cell.batch for cell in cells}
    found = Counter(
        (cell.runtime, cell.precision, cell.batch) for cell in cells
    )
    for runtime, precision in sorted(certificate.places):
        where = _place(runtime, precision)
        if left_out := sorted(
            n for n in batches if not found[runtime, precision, n]
        ):
            yield f"{where}: no cell at batch {', '.join(map(str, left_out))}"
        if not _PLAIN.fullmatch(runtime):
            yield f"{where}: no runtime has this name"
        elif precision in modes and runtime not in modes[precision]:
            yield f"{where}: {', '.join(modes[precision])} alone have this mode"
    for (runtime, precision, batch), times in found.items():
        where = f"{_place(runtime, precision)} batch {batch:.6g}"
        if times > 1:
            yield f"{where}: {times} cells; expected one"
        if fixed not in ("dynamic", batch):
            yield f"{where}: the bundle's batch is {fixed}"
    for cell in cells:
        yield from _of_cell(cell, certificate.pictures.total)


def _of_cell(cell: Cell, pictures: int) -> Iterator[str]:
    where = f"{_place(cell.runtime, cell.precision)} batch {cell.batch:.6g}"
    if cell.precision in _OF_ACCELERATORS and _CPU.match(cell.running_on):
        yield f"{where}: no CPU has this mode"
    if cell.pictures != pictures or pictures < 1:
        yield f"{where}: {cell.pictures:.6g} of {pictures:.6g} pictures"
    limits = {
        "score_error": (0.0, math.inf),
        "map_error": (0.0, math.inf),
        "batch_error": (0.0, math.inf),
        "smallest_margin": (0.0, math.inf),
        "mask_iou": (0.0, 1.0),
        "image_auroc": (0.0, 1.0),
        "image_auroc_change": (-1.0, 1.0),
        "pixel_auroc": (0.0, 1.0),
        "pixel_auroc_change": (-1.0, 1.0),
    }
    for name, (least, most) in limits.items():
        value = getattr(cell, name)
        if value is not None and not (
            math.isfinite(value) and least <= value <= most
        ):
            yield f"{where}: {name} is {value:.3g}; expected {least:g} to {most:g}"


def _of_bundle(
    certificate: Certificate, manifest: Manifest, precision: str, made: Made
) -> Iterator[str]:
    found = made.get((BUNDLE, precision), [])
    names = {check.name for check in found}
    # These need not be there beside a failed check, which fails the certificate by itself.
    left_out = checks_left_out([c.name for c in found if not c.passed]) - names
    expected = [
        row
        for row in checks_of_bundle(manifest, certificate.reference)
        if row.name not in left_out
    ]
    yield from _compared(_place(BUNDLE, precision), expected, found)


def _of_graphs(
    certificate: Certificate, manifest: Manifest, precision: str
) -> Iterator[str]:
    names = graphs_of(manifest, precision)
    if left_out := sorted(names.keys() - certificate.about.graphs.keys()):
        yield f"no digest of {_listed(left_out)}"


def _of_runtimes(
    certificate: Certificate, manifest: Manifest, precision: str, made: Made
) -> Iterator[str]:
    batches = {cell.batch for cell in certificate.cells}
    expected = list(
        checks_of_runtime(
            manifest,
            precision,
            sorted(batches),
            certificate.reference,
            release_tolerance(precision, certificate.widened),
        )
    )
    for place in sorted(certificate.places):
        if place[1] == precision:
            yield from _compared(_place(*place), expected, made.get(place, []))


def _compared(
    where: str, expected: Sequence[Row], made: Sequence[CheckResult]
) -> Iterator[str]:
    """Compare the checks of one place with those that a proof writes."""
    rows = {(row.kind, row.name): row for row in expected}
    found = Counter((check.kind, check.name) for check in made)
    if left_out := [name for kind, name in rows if not found[kind, name]]:
        yield f"{where}: not checked: {_listed(left_out)}"
    if unknown := [name for kind, name in found if (kind, name) not in rows]:
        yield f"{where}: no proof has the checks {_quoted(unknown)}"
    if repeated := [name for (_, name), times in found.items() if times > 1]:
        yield f"{where}: repeated checks: {_quoted(repeated)}"
    for check in made:
        row = rows.get((check.kind, check.name))
        if row is not None:
            yield from _of_number(where, check, row.allowed)


def _of_number(
    where: str, check: CheckResult, allowed: float | None
) -> Iterator[str]:
    """Judge the number of a check; the tolerance that the file states is ignored."""
    if allowed is None:
        if check.error is not None:
            yield f"{where}: {check.name} has an error; expected none"
        return
    if check.error is None:
        yield f"{where}: {check.name} has no error; expected one"
    elif not 0 <= check.error <= allowed:
        yield f"{where}: {check.name} is off by {check.error:.2e}; expected 0 to {allowed:.1e}"


def _of_examined_stages(
    certificate: Certificate, manifest: Manifest, place: Place
) -> Iterator[str]:
    """Stages that were examined by themselves are all examined, and a finding follows."""
    names = [
        row.name
        for row in certificate.stages
        if (row.runtime, row.precision) == place
    ]
    if not names:
        return
    if sorted(names) != sorted(manifest.stages):
        yield f"{_place(*place)}: examined other stages than the bundle's"
    findings = [
        row
        for row in certificate.findings
        if (row.runtime, row.precision) == place
    ]
    if not findings:
        yield f"{_place(*place)}: examined stages without a finding"


def _of_strangers(certificate: Certificate) -> Iterator[str]:
    """Yield a line for each place that has rows and no cell."""
    places = certificate.places
    precisions = {precision for _, precision in places}
    strangers = {
        place
        for place in certificate.places_of_rows
        if place not in places
        and (place[0] != BUNDLE or place[1] not in precisions)
    }
    for runtime, precision in sorted(strangers):
        yield f"{_place(runtime, precision)}: checks without a cell"


def _by_place(checks: Iterable[CheckResult]) -> Made:
    made: Made = {}
    for check in checks:
        made.setdefault((check.runtime, check.precision), []).append(check)
    return made


def _place(runtime: str, precision: str) -> str:
    name = printable(runtime[:40])
    return name if precision == "fp32" else f"{name} {precision}"


def _listed(names: Collection[str]) -> str:
    shown = [printable(name[:60]) for name in names]
    more = len(shown) - _SHOWN
    text = ", ".join(shown[:_SHOWN])
    return f"{text} and {more} more" if more > 0 else text


def _quoted(names: Iterable[str]) -> str:
    return _listed([f"'{name[:56]}'" for name in names])
