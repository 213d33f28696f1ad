"""The proof of anomalib's layout: its four outputs, under every runtime, against what the original says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from anomedge.bundle import Bundle, Variant
from anomedge.errors import BundleError
from anomedge.images import Frame
from anomedge.parity.certificate import Check, Tolerance
from anomedge.parity.plan import Plan, Reference
from anomedge.progress import track
from anomedge.runtimes import Session, Tensors, get, variant_of
from anomedge.threshold import Decision, scale_of_each

__all__ = ["INPUT", "OUTPUTS", "as_input", "check_layout"]

INPUT = "input"
OUTPUTS = {
    "pred_score": "float32",
    "pred_label": "bool",
    "anomaly_map": "float32",
    "pred_mask": "bool",
}
"""Names and types, in anomalib's order."""

_ROUNDING = 4 * float(np.finfo(np.float32).eps)


def as_input(frames: Frame) -> npt.NDArray[np.float32]:
    """Frames, uint8 (B, H, W, 3), as anomalib feeds them: float32 (B, 3, H, W) in [0, 1]."""
    return np.ascontiguousarray(
        (frames / 255.0).astype(np.float32).transpose(0, 3, 1, 2)
    )


def check_layout(
    bundle: Bundle, reference: Reference, plan: Plan
) -> list[Check]:
    """Every picture through the layout's graph, under every runtime, at every batch size of the plan.

    Judged by the manifest's thresholds, which the graph carries, whatever a device's own say.

    Raises:
        BundleError: the bundle was not exported with this layout.
    """
    files = _files(bundle, variant_of(plan.precision))
    checks: list[Check] = []
    for name in plan.runtimes:
        kind = get(name)
        with kind.from_variant(bundle, files, plan.options(name)) as session:
            checks.append(_contract(bundle, session, max(plan.batches)))
            if checks[-1].passed:
                checks += _pictures(
                    bundle, session, reference, plan.batches, plan.tolerance
                )
    return checks


def _files(bundle: Bundle, precision: str) -> Variant:
    """The layout's files in the places of the bundle's own, so that a runtime picks its one."""
    variant = bundle.variant(precision)
    if variant.find("anomalib") is None:
        raise BundleError(
            f"{bundle.path} has no anomalib layout; expected one: export with --layout anomalib"
        )
    return variant.with_model("anomalib")


def _contract(bundle: Bundle, session: Session, count: int) -> Check:
    frames = np.zeros((count, *bundle.manifest.input.frame, 3), dtype=np.uint8)
    outputs = session.run({INPUT: as_input(frames)})
    got = {
        name: f"{array.dtype} {array.shape}" for name, array in outputs.items()
    }
    shapes = {
        promised.name: (count, *promised.shape)
        for promised in bundle.manifest.outputs
    }
    of_picture, of_map = shapes["score"], shapes["anomaly_map"]
    wanted = {
        name: f"{dtype} {of_picture if name in {'pred_score', 'pred_label'} else of_map}"
        for name, dtype in OUTPUTS.items()
    }
    passed = list(got.items()) == list(wanted.items())
    return _check(session, "outputs", passed, f"got {got}; expected {wanted}")


def _pictures(
    bundle: Bundle,
    session: Session,
    reference: Reference,
    batches: Sequence[int],
    tolerance: Tolerance,
) -> list[Check]:
    decision, frame, pictures = (
        bundle.manifest.decision,
        bundle.manifest.input.frame,
        reference.pictures,
    )
    share = decision.scale / decision.range
    worst = {"pred_score": 0.0, "anomaly_map": 0.0}
    flipped: list[str] = []
    wrong_pixels, band = (
        0,
        tolerance.map
        * float(scale_of_each(decision.pixel_threshold, decision.scale)),
    )
    runs = [
        (batch, start)
        for batch in batches
        for start in range(0, len(pictures), batch)
    ]
    for batch, start in track(
        runs, f"{session.name}, layout anomalib", total=len(runs)
    ):
        places = [(start + i) % len(pictures) for i in range(batch)]
        outputs = session.run(
            {
                INPUT: as_input(
                    np.stack([pictures[i].frame(frame) for i in places])
                )
            }
        )
        score, raw_map = (
            reference.outputs.score[places],
            reference.outputs.anomaly_map[places],
        )
        for name, error in _errors(outputs, score, raw_map, decision).items():
            worst[name] = max(
                worst[name], error if error == error else np.inf
            )  # NaN is as wrong as can be
        flips = decision.is_anomalous(score) != outputs["pred_label"]
        flipped += [
            pictures[i].name
            for i, flip in zip(places, flips, strict=True)
            if flip
        ]
        wrong_pixels += _wrong_pixels(
            outputs["pred_mask"], raw_map, decision, band
        )
    allowed = {
        "pred_score": tolerance.score * share + _ROUNDING,
        "anomaly_map": tolerance.map * share + _ROUNDING,
    }
    return [
        _check(
            session,
            "pred_label",
            not flipped,
            f"{len(flipped)} labels flipped: {', '.join(flipped[:5])}",
        ),
        _check(
            session,
            "pred_mask",
            not wrong_pixels,
            f"{wrong_pixels} pixels on the wrong side",
        ),
        *[
            _within(session, name, error, allowed[name])
            for name, error in worst.items()
        ],
    ]


def _errors(
    outputs: Tensors,
    score: npt.NDArray[np.floating],
    raw_map: npt.NDArray[np.floating],
    decision: Decision,
) -> dict[str, float]:
    """Largest errors in the [0, 1] range."""
    return {
        "pred_score": float(
            np.abs(outputs["pred_score"] - decision.normalised(score)).max()
        ),
        "anomaly_map": float(
            np.abs(
                outputs["anomaly_map"]
                - decision.normalised(raw_map, decision.pixel_threshold)
            ).max()
        ),
    }


def _wrong_pixels(
    mask: npt.NDArray[np.bool_],
    raw_map: npt.NDArray[np.floating],
    decision: Decision,
    band: float,
) -> int:
    """Pixels of the mask that differ from ours and do not lie within `band` of the threshold, where both are right."""
    decided = (
        np.abs(raw_map.astype(np.float64) - decision.pixel_threshold) > band
    )
    return int(((mask != decision.mask(raw_map)) & decided).sum())


def _within(session: Session, name: str, error: float, allowed: float) -> Check:
    check = _check(
        session,
        name,
        error <= allowed,
        f"off by {error:.2e}; allowed {allowed:.1e}",
    )
    return check.model_copy(update={"error": error, "tolerance": allowed})


def _check(session: Session, name: str, passed: bool, detail: str) -> Check:
    return Check(
        runtime=session.name,
        kind="contract",
        name=f"anomalib {name}",
        detail="" if passed else detail,
        passed=bool(passed),
    )
