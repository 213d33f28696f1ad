"""The five proofs: numbers, decisions, pixels, stages and contract, of every runtime at every batch size."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import numpy.typing as npt

from anomedge.bundle import Bundle
from anomedge.errors import AnomedgeError, InputError
from anomedge.images import Picture
from anomedge.parity.certificate import (
    GOLDEN,
    ORIGINALS,
    Cell,
    Certificate,
    Check,
    Finding,
    PictureCount,
    StageError,
    Tolerance,
)
from anomedge.parity.compare import (
    FRAMES,
    Difference,
    Outputs,
    Truth,
    collect,
    compare,
    truth_of,
)
from anomedge.parity.layout import check_layout
from anomedge.parity.localise import localise
from anomedge.parity.manifest import OPERATORS, check_manifest, notes_on
from anomedge.parity.pictures import BLENDED, EXTREME, SYNTHETIC
from anomedge.parity.plan import Plan, Reference
from anomedge.parity.stages import stage_checks
from anomedge.parity.stored import vouching_certificate
from anomedge.parity.subject import FrameDigest, digests_of_frames, subject_of
from anomedge.parity.verdict import CLAUSES, copies_at, failures_of_cell
from anomedge.runtimes import Session, variant_of

__all__ = ["failure_text", "prove"]


def prove(
    bundle: Bundle, reference: Reference, plan: Plan, *, stages: bool = False
) -> Certificate:
    """Run every proof and write down what came out; a failed proof is in the certificate, not raised.

    Tolerances come from this release and, if the model file is given, the decision comes from that file, so a bundle
    cannot relax its own proof. A manifest that differs fails the proof.

    Args:
        bundle: what to prove.
        reference: what the original says.
        plan: where to run the copies.
        stages: look at each stage by itself, even where nothing failed.

    Raises:
        InputError: no runtime, no batch size or no picture, or no stage where stages are asked for: nothing compared is
            no proof.
    """
    if not plan.runtimes or not plan.batches:
        raise InputError(
            "got no runtime or no batch size; expected at least one of each: nothing would be compared"
        )
    if stages and not reference.stages:
        raise InputError(
            f"{reference.source} says nothing of the stages; expected golden frames or a model: leave out --images, or "
            f"give --model"
        )
    rows = _Rows(checks=check_manifest(bundle, reference, plan))
    original = reference.original
    may_run = all(
        check.passed for check in rows.checks if check.name == OPERATORS
    )
    # Maps of different geometries cannot be compared.
    if may_run and (
        original is None or original.geometry == bundle.manifest.geometry
    ):
        for runtime in plan.runtimes:
            _prove_runtime(
                bundle, reference, plan, runtime, rows, stages=stages
            )
        if (
            bundle.variant(variant_of(plan.precision)).find("anomalib")
            is not None
        ):
            rows.checks += check_layout(bundle, reference, plan)
    decision = reference.decision_in_force(bundle)
    # Without cells, no graph confirmed the manifest's frame size; it may be huge, so pictures are not stretched to it.
    frames = digests_of_frames(
        reference, bundle.manifest.input.frame if rows.cells else None
    )
    return Certificate(
        bundle=bundle.manifest.digest,
        about=subject_of(bundle, reference, plan, frames),
        reference=reference.source,
        machine={
            "system": platform.system(),
            "machine": platform.machine(),
            "python": platform.python_version(),
        },
        tools=_versions(),
        scale=decision.scale,
        threshold=decision.threshold,
        local_thresholds=bundle.local is not None,
        widened=plan.widen,
        notes=tuple(notes_on(bundle, plan)),
        vouched_by=vouching_certificate(bundle)
        if reference.source == GOLDEN
        else "",
        tolerances={plan.precision: plan.tolerance},
        pictures=_counts(reference, frames),
        stage_names=bundle.manifest.stages
        if reference.source in ORIGINALS
        else (),
        cells=tuple(rows.cells),
        checks=tuple(
            check.model_copy(update={"precision": plan.precision})
            for check in rows.checks
        ),
        stages=tuple(rows.stages),
        findings=tuple(rows.findings),
    )


@dataclass
class _Rows:
    """Rows of a certificate, collected while the proof runs."""

    checks: list[Check]
    cells: list[Cell] = field(default_factory=list)
    stages: list[StageError] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    truth: Truth | None = None


def _prove_runtime(
    bundle: Bundle,
    reference: Reference,
    plan: Plan,
    runtime: str,
    rows: _Rows,
    *,
    stages: bool,
) -> None:
    manifest = bundle.manifest
    with plan.open(bundle, runtime) as session:
        # Opening checks the graph against the manifest's sizes, so they are safe to use only from here on.
        rows.truth = rows.truth or truth_of(
            reference.pictures, manifest.geometry, manifest.input.frame
        )
        rows.cells += _cells(bundle, session, reference, plan, rows.truth)
        rows.checks += [
            *_contract(bundle, session),
            *_copies(bundle, session, reference, plan),
        ]
    if not reference.stages:
        return
    with plan.open(bundle, runtime, stages=True) as tapped:
        rows.checks += stage_checks(bundle, tapped, reference, plan.tolerance)
    if stages or _is_off(runtime, rows.cells, rows.checks):
        errors, finding = _localised(
            bundle, reference, plan, runtime, plan.tolerance, asked=stages
        )
        rows.stages += errors
        rows.findings.append(finding)


def failure_text(certificate: Certificate, consequence: str) -> str:
    """The failures in one message."""
    shown = "\n  ".join(certificate.failures[:12])
    more = len(certificate.failures) - 12
    return f"the proof failed, {consequence}:\n  {shown}" + (
        f"\n  and {more} more" if more > 0 else ""
    )


def _cells(
    bundle: Bundle,
    session: Session,
    reference: Reference,
    plan: Plan,
    truth: Truth,
) -> Iterator[Cell]:
    names = [picture.name for picture in reference.pictures]
    decision, exported = (
        reference.decision_in_force(bundle),
        reference.exported_decision(bundle),
    )
    frame, tolerance = bundle.manifest.input.frame, plan.tolerance
    before, single = truth.ranks(reference.outputs), None
    allowed = (
        0.0 if plan.precision == "fp32" else tolerance.score
    )  # blends are made for float32: there, all count
    for batch in plan.batches:
        outputs = collect(session, reference.pictures, frame, batch)
        difference = compare(
            reference.outputs, outputs, decision, names, allowed, exported
        )
        after = truth.ranks(outputs)
        single = outputs if batch == 1 else single
        batch_error = None
        if batch != 1:
            others = single or _among_other_neighbours(
                session, reference.pictures, frame, batch
            )
            apart = compare(others, outputs, decision, names, allowed)
            batch_error = max(apart.score_error, apart.map_error)
        yield Cell(
            runtime=session.name,
            version=session.version,
            running_on=session.running_on,
            precision=plan.precision,
            batch=batch,
            pictures=len(names),
            batch_error=batch_error,
            image_auroc=after.image,
            image_auroc_change=_change(before.image, after.image),
            pixel_auroc=after.pixel,
            pixel_auroc_change=_change(before.pixel, after.pixel),
            failures=failures_of_cell(difference, batch_error, tolerance),
            **difference._asdict(),
        )


def _among_other_neighbours(
    session: Session,
    pictures: Sequence[Picture],
    frame: tuple[int, int],
    batch: int,
) -> Outputs:
    """For a graph that takes no single picture: the same pictures, each in another company."""
    moved = collect(session, [*pictures[1:], pictures[0]], frame, batch)
    return Outputs(
        np.roll(moved.score, 1, axis=0), np.roll(moved.anomaly_map, 1, axis=0)
    )


def _change(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _is_off(
    runtime: str, cells: Sequence[Cell], checks: Sequence[Check]
) -> bool:
    """Did a number or a decision fail? What fails the contract has no stage to look for."""
    failed = [cell.runtime for cell in cells if cell.failures]
    return runtime in failed + [
        check.runtime
        for check in checks
        if check.kind != "contract" and not check.passed
    ]


def _localised(
    bundle: Bundle,
    reference: Reference,
    plan: Plan,
    runtime: str,
    tolerance: Tolerance,
    *,
    asked: bool,
) -> tuple[list[StageError], Finding]:
    """Where nobody asked, a proof that failed is not to end in another error."""
    try:
        return localise(bundle, reference, plan, runtime, tolerance)
    except AnomedgeError as error:
        if asked:
            raise
        text = f"the stage that fails could not be found: {error}"
        return [], Finding(
            runtime=runtime,
            precision=plan.precision,
            stage=None,
            passed=False,
            text=text,
        )


def _contract(bundle: Bundle, session: Session) -> list[Check]:
    """Types and shapes as promised, and a clear refusal of whatever is not a frame."""
    manifest = bundle.manifest
    height, width = manifest.input.frame
    count = (
        1 if manifest.input.batch == "dynamic" else int(manifest.input.batch)
    )
    frames = np.zeros((count, height, width, 3), dtype=np.uint8)
    outputs = session.run({FRAMES: frames})
    checks = [
        _check(
            session,
            f"output {promised.name}",
            outputs[promised.name].dtype == promised.dtype
            and outputs[promised.name].shape == (count, *promised.shape),
            f"got {outputs[promised.name].dtype} {outputs[promised.name].shape}",
        )
        for promised in manifest.outputs
    ]
    wrong: dict[str, dict[str, npt.NDArray[Any]]] = {
        "refuses float frames": {FRAMES: frames.astype(np.float32)},
        "refuses another size": {FRAMES: frames[:, :-1]},
        "refuses one channel": {FRAMES: frames[..., :1]},
        "refuses no batch axis": {FRAMES: frames[0]},
        "refuses an empty batch": {FRAMES: frames[:0]},
        "refuses another name": {"images": frames},
    }
    for name, feed in wrong.items():
        checks.append(
            _check(session, name, _refused(session, feed), "was not refused")
        )
    return sorted(checks, key=lambda check: CLAUSES.index(check.name))


def _copies(
    bundle: Bundle, session: Session, reference: Reference, plan: Plan
) -> Iterator[Check]:
    """Run copies of one picture as a batch, as an inspector fills up a fixed one: the lowest and the highest score."""
    scores = np.asarray(reference.outputs.score, dtype=np.float64)
    for batch in plan.batches:
        if batch > 1:
            differences = [
                _difference_of_copies(
                    bundle, session, reference, plan, place, batch
                )
                for place in {int(scores.argmin()), int(scores.argmax())}
            ]
            lines = [
                line
                for each in differences
                for line in failures_of_cell(each, None, plan.tolerance)
            ]
            yield _check(session, copies_at(batch), not lines, "; ".join(lines))


def _difference_of_copies(
    bundle: Bundle,
    session: Session,
    reference: Reference,
    plan: Plan,
    place: int,
    batch: int,
) -> Difference:
    picture = reference.pictures[place]
    pixels = picture.frame(bundle.manifest.input.frame)
    outputs = session.run({FRAMES: np.repeat(pixels[None], batch, axis=0)})
    places = [place] * batch
    expected = Outputs(
        reference.outputs.score[places], reference.outputs.anomaly_map[places]
    )
    produced = Outputs(outputs["score"], outputs["anomaly_map"])
    decision, exported = (
        reference.decision_in_force(bundle),
        reference.exported_decision(bundle),
    )
    allowed = 0.0 if plan.precision == "fp32" else plan.tolerance.score
    return compare(
        expected, produced, decision, [picture.name] * batch, allowed, exported
    )


def _check(session: Session, name: str, passed: bool, detail: str) -> Check:
    return Check(
        runtime=session.name,
        kind="contract",
        name=name,
        detail="" if passed else detail,
        passed=bool(passed),
    )


def _refused(session: Session, feed: dict[str, npt.NDArray[Any]]) -> bool:
    try:
        session.run(feed)
    except InputError:
        return True
    except AnomedgeError:
        return False
    return False


def _counts(
    reference: Reference, frames: Sequence[FrameDigest]
) -> PictureCount:
    names = [picture.name for picture in reference.pictures]
    made = (BLENDED, EXTREME, SYNTHETIC)
    own = {
        frame.sha256
        for name, frame in zip(names, frames, strict=True)
        if not name.startswith(made) and not frame.uniform
    }
    return PictureCount(
        total=len(names),
        labelled=sum(
            picture.anomalous is not None for picture in reference.pictures
        ),
        blended=sum(name.startswith(BLENDED) for name in names),
        fitted=reference.fitted,
        extreme=sum(name.startswith(EXTREME) for name in names),
        resized=reference.resized,
        synthetic=sum(name.startswith(SYNTHETIC) for name in names),
        distinct=len(own),
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in ("anomedge", "numpy", "onnxruntime", "openvino", "torch"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
