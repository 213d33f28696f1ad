"""Collect the content of a report; the proof is run again for it."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from anomedge.benchmark import Timing, measure
from anomedge.bundle import Bundle, LocalSettings, Manifest
from anomedge.errors import InputError
from anomedge.files import sha256_of_file
from anomedge.names import storable
from anomedge.parity import Certificate, Outputs, Plan, Reference, prove
from anomedge.parity.certificate import ORIGINALS, CheckResult, Tolerance
from anomedge.parity.outputs import collect
from anomedge.parity.stored import StoredCertificate, stored_certificates
from anomedge.report.pictures import ShownPicture, select, show
from anomedge.report.scores import Scores, scores_of
from anomedge.threshold import Decision
from anomedge.verification import reference_of

__all__ = ["MOST_PICTURES", "CheckRow", "Content", "Request", "collect_content"]

MOST_PICTURES = 24


@dataclass(frozen=True)
class Request:
    """Options of a report.

    Args:
        model: compare with eager Torch on this model, on the host.
        images: folders of pictures; without images and model, the golden frames
            are used.
        pictures: number of pictures to show, 0 to 24.
        rounds: rounds of the latency measurement; 0 skips it.
        command: command line that writes this report, for its last line.
        now: date and time of the report; the current time if None.
        normal: label of normal pictures, where it is not a known one.
    """

    model: Path | None = None
    images: Sequence[Path] = ()
    pictures: int = 6
    rounds: int = 10
    command: str = ""
    now: datetime | None = None
    normal: str | None = None


@dataclass(frozen=True)
class CheckRow:
    """One check of every runtime; `checks` holds the results by runtime."""

    kind: str
    name: str
    allowed: float | None
    checks: dict[str, CheckResult]


@dataclass(frozen=True)
class Content:
    """Content of a report as plain values.

    Attributes:
        original: whether the reference is the original; False if a runtime
            replaced it, which proves nothing about the original.
        left_out: number of pictures that were compared and are not shown.
        local: local settings of the device; None if there are none.
    """

    bundle: str
    made: str
    machine: str
    command: str
    manifest: Manifest
    decision: Decision
    local: LocalSettings | None
    precision: str
    tolerance: Tolerance
    certificate: Certificate
    original: bool
    check_rows: tuple[CheckRow, ...]
    stored: tuple[StoredCertificate, ...]
    scores: Scores
    pictures: tuple[ShownPicture, ...]
    left_out: int
    timings: tuple[Timing, ...]
    notes: tuple[str, ...]


def collect_content(bundle: Bundle, plan: Plan, request: Request) -> Content:
    """Run the proof, select pictures and measure latency.

    Raises:
        InputError: the number of pictures or rounds is out of range.
        AnomedgeError: as `anomedge.verification.reference_of`,
            `anomedge.parity.prove` and `anomedge.benchmark.measure`.
    """
    if not 0 <= request.pictures <= MOST_PICTURES or request.rounds < 0:
        raise InputError(
            f"got {request.pictures} pictures and {request.rounds} rounds; expected 0 to {MOST_PICTURES} pictures and "
            f"no negative number of rounds"
        )
    reference, left = reference_of(
        bundle, plan, request.model, request.images, request.normal
    )
    certificate = prove(bundle, reference, left)
    tolerance = left.tolerance
    copies = _outputs(bundle, reference, left)
    chosen = select(reference, copies, bundle, request.pictures)
    return Content(
        bundle=storable(bundle.path.resolve().name),
        made=_moment(request.now),
        machine=_machine(),
        command=request.command,
        manifest=bundle.manifest,
        decision=bundle.decision,
        local=bundle.local,
        precision=left.precision,
        tolerance=tolerance,
        certificate=certificate,
        original=reference.source in ORIGINALS,
        check_rows=_check_rows(certificate),
        stored=tuple(stored_certificates(bundle)),
        scores=scores_of(reference, bundle.decision, tolerance.score),
        pictures=tuple(
            show(bundle, reference, copies, i, reasons, tolerance)
            for i, reasons in chosen.items()
        ),
        left_out=len(reference.pictures) - len(chosen),
        timings=tuple(measure(bundle, plan, request.rounds))
        if request.rounds
        else (),
        notes=tuple(_notes(bundle, request)),
    )


def _outputs(
    bundle: Bundle, reference: Reference, plan: Plan
) -> dict[str, Outputs]:
    """Run the pictures under every runtime, at the plan's first batch size."""
    outputs = {}
    for name in plan.runtimes:
        with plan.open(bundle, name) as session:
            outputs[name] = collect(
                session,
                reference.pictures,
                bundle.manifest.framing,
                plan.batches[0],
            )
    return outputs


def _check_rows(certificate: Certificate) -> tuple[CheckRow, ...]:
    """Return one row per check, in order; contract checks come last."""
    rows: dict[tuple[str, str], CheckRow] = {}
    for check in certificate.checks:
        if check.kind == "bundle":
            continue
        row = rows.setdefault(
            (check.kind, check.name),
            CheckRow(check.kind, check.name, check.tolerance, {}),
        )
        row.checks[check.runtime] = check
    return tuple(sorted(rows.values(), key=lambda row: row.kind == "contract"))


def _notes(bundle: Bundle, request: Request) -> list[str]:
    """Return notes that a reader needs before the figures."""
    notes = []
    if (
        request.model is not None
        and sha256_of_file(request.model) != bundle.manifest.model
    ):
        notes.append(
            f"The model file {storable(request.model.name)} is not the one this bundle was exported from."
        )
    if bundle.decision != bundle.manifest.decision:
        place = storable(str(bundle.local_path))
        notes.append(
            f"This device uses thresholds of its own ({place}), not those of the export."
        )
    if bundle.manifest.decision.origin.extrapolated:
        notes.append(
            "The threshold lies above every score it was made from: too few pictures for its false-alarm rate."
        )
    return notes


def _moment(now: datetime | None) -> str:
    moment = now or datetime.now().astimezone()
    return moment.strftime("%Y-%m-%d %H:%M %z").strip()


def _machine() -> str:
    system = f"{platform.system()} on {platform.machine()}, Python {platform.python_version()}"
    return f"{platform.node()}, {system}" if platform.node() else system
