"""The five proofs: numbers, decisions, pixels, stages and contract, of every runtime at every batch size."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from pydantic import ValidationError

from anomedge.bundle import Bundle
from anomedge.errors import AnomedgeError, BundleError, InputError
from anomedge.images import Picture
from anomedge.parity.certificate import Cell, Certificate, Check, Finding, PictureCount, StageError, Tolerance
from anomedge.parity.compare import FRAMES, Outputs, Truth, collect, compare, failures_of, truth_of
from anomedge.parity.layout import check_layout
from anomedge.parity.localise import localise
from anomedge.parity.pictures import BLENDED, EXTREME
from anomedge.parity.plan import Plan, Reference
from anomedge.parity.stages import stage_checks
from anomedge.runtimes import Session, variant_of

__all__ = ["failure_text", "prove"]


def prove(bundle: Bundle, reference: Reference, plan: Plan, *, stages: bool = False) -> Certificate:
    """Run every proof and write down what came out; a failed proof is in the certificate, not raised.

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
        raise InputError("got no runtime or no batch size; expected at least one of each: nothing would be compared")
    if stages and not reference.stages:
        raise InputError(
            f"{reference.source} says nothing of the stages; expected golden frames or a model: leave out --images, or "
            f"give --model"
        )
    manifest = bundle.manifest
    tolerance = _tolerance(bundle, plan.precision)
    truth: Truth | None = None
    cells: list[Cell] = []
    checks: list[Check] = []
    stage_errors: list[StageError] = []
    findings: list[Finding] = []
    for runtime in plan.runtimes:
        with plan.open(bundle, runtime) as session:
            # Opening holds the graph to the manifest's sizes; only then are they used.
            truth = truth or truth_of(reference.pictures, manifest.geometry, manifest.input.frame)
            cells += _cells(bundle, session, reference, plan, tolerance, truth)
            checks += _contract(bundle, session)
        if reference.stages:
            with plan.open(bundle, runtime, stages=True) as tapped:
                checks += stage_checks(bundle, tapped, reference, tolerance)
            if stages or _is_off(runtime, cells, checks):
                errors, finding = _localised(bundle, reference, plan, runtime, tolerance, asked=stages)
                stage_errors += errors
                findings.append(finding)
    if bundle.variant(variant_of(plan.precision)).anomalib_onnx is not None:
        checks += check_layout(bundle, reference, plan)
    checks = [check.model_copy(update={"precision": plan.precision}) for check in checks]
    which = "" if plan.precision == "fp32" else f" {plan.precision}"
    failures = [f"{f.runtime}{which}: {f.text}" for f in findings if not f.passed]
    failures += [f"{c.runtime}{which} batch {c.batch}: {line}" for c in cells for line in c.failures]
    failures += [f"{c.runtime}{which} {c.kind} {c.name}: {c.detail}" for c in checks if not c.passed]
    return Certificate(
        bundle=manifest.digest,
        reference=reference.source,
        machine={"system": platform.system(), "machine": platform.machine(), "python": platform.python_version()},
        tools=_versions(),
        scale=bundle.decision.scale,
        threshold=bundle.decision.threshold,
        tolerances={plan.precision: tolerance},
        pictures=_counts(reference),
        cells=tuple(cells),
        checks=tuple(checks),
        stages=tuple(stage_errors),
        findings=tuple(findings),
        failures=tuple(failures),
    )


def _tolerance(bundle: Bundle, precision: str) -> Tolerance:
    try:
        return Tolerance.model_validate(bundle.manifest.tolerances.get(precision, {}))
    except ValidationError as error:
        raise BundleError(f"{bundle.path}: got no whole tolerances of {precision}; export the bundle again") from error


def failure_text(certificate: Certificate, consequence: str) -> str:
    """The failures in one message."""
    shown = "\n  ".join(certificate.failures[:12])
    more = len(certificate.failures) - 12
    return f"the proof failed, {consequence}:\n  {shown}" + (f"\n  and {more} more" if more > 0 else "")


def _cells(
    bundle: Bundle, session: Session, reference: Reference, plan: Plan, tolerance: Tolerance, truth: Truth
) -> Iterator[Cell]:
    names = [picture.name for picture in reference.pictures]
    decision, frame = bundle.decision, bundle.manifest.input.frame
    before, single = truth.ranks(reference.outputs), None
    allowed = 0.0 if plan.precision == "fp32" else tolerance.score  # blends are made for float32: there, all count
    for batch in plan.batches:
        outputs = collect(session, reference.pictures, frame, batch)
        difference, after = compare(reference.outputs, outputs, decision, names, allowed), truth.ranks(outputs)
        single = outputs if batch == 1 else single
        batch_error = None
        if batch != 1:
            others = single or _among_other_neighbours(session, reference.pictures, frame, batch)
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
            failures=failures_of(difference, batch_error, tolerance),
            **difference._asdict(),
        )


def _among_other_neighbours(
    session: Session, pictures: Sequence[Picture], frame: tuple[int, int], batch: int
) -> Outputs:
    """For a graph that takes no single picture: the same pictures, each in another company."""
    moved = collect(session, [*pictures[1:], pictures[0]], frame, batch)
    return Outputs(np.roll(moved.score, 1, axis=0), np.roll(moved.anomaly_map, 1, axis=0))


def _change(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _is_off(runtime: str, cells: Sequence[Cell], checks: Sequence[Check]) -> bool:
    """Did a number or a decision fail? What fails the contract has no stage to look for."""
    failed = [cell.runtime for cell in cells if cell.failures]
    return runtime in failed + [check.runtime for check in checks if check.kind != "contract" and not check.passed]


def _localised(
    bundle: Bundle, reference: Reference, plan: Plan, runtime: str, tolerance: Tolerance, *, asked: bool
) -> tuple[list[StageError], Finding]:
    """Where nobody asked, a proof that failed is not to end in another error."""
    try:
        return localise(bundle, reference, plan, runtime, tolerance)
    except AnomedgeError as error:
        if asked:
            raise
        text = f"the stage that fails could not be found: {error}"
        return [], Finding(runtime=runtime, precision=plan.precision, stage=None, passed=False, text=text)


def _contract(bundle: Bundle, session: Session) -> list[Check]:
    """Types and shapes as promised, and a clear refusal of whatever is not a frame."""
    manifest = bundle.manifest
    height, width = manifest.input.frame
    count = 1 if manifest.input.batch == "dynamic" else int(manifest.input.batch)
    frames = np.zeros((count, height, width, 3), dtype=np.uint8)
    outputs = session.run({FRAMES: frames})
    checks = [
        _check(
            session,
            f"output {promised.name}",
            outputs[promised.name].dtype == promised.dtype and outputs[promised.name].shape == (count, *promised.shape),
            f"got {outputs[promised.name].dtype} {outputs[promised.name].shape}",
        )
        for promised in manifest.outputs
    ]
    wrong: dict[str, Callable[[], Any]] = {
        "float frames": lambda: session.run({FRAMES: frames.astype(np.float32)}),
        "another size": lambda: session.run({FRAMES: frames[:, :-1]}),
        "one channel": lambda: session.run({FRAMES: frames[..., :1]}),
        "no batch axis": lambda: session.run({FRAMES: frames[0]}),
        "an empty batch": lambda: session.run({FRAMES: frames[:0]}),
        "another name": lambda: session.run({"images": frames}),
    }
    return checks + [
        _check(session, f"refuses {name}", _refused(call), "was not refused") for name, call in wrong.items()
    ]


def _check(session: Session, name: str, passed: bool, detail: str) -> Check:
    return Check(runtime=session.name, kind="contract", name=name, detail="" if passed else detail, passed=bool(passed))


def _refused(call: Callable[[], Any]) -> bool:
    try:
        call()
    except InputError:
        return True
    except AnomedgeError:
        return False
    return False


def _counts(reference: Reference) -> PictureCount:
    names = [picture.name for picture in reference.pictures]
    return PictureCount(
        total=len(names),
        labelled=sum(picture.anomalous is not None for picture in reference.pictures),
        blended=sum(name.startswith(BLENDED) for name in names),
        fitted=reference.fitted,
        extreme=sum(name.startswith(EXTREME) for name in names),
        resized=reference.resized,
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in ("anomedge", "numpy", "onnxruntime", "openvino", "torch"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
