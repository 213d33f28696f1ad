"""Prove anomalib's layout: its four outputs under one runtime."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from anomedge.bundle import Bundle, Variant
from anomedge.errors import BundleError
from anomedge.images import Frame
from anomedge.parity.comparison import Comparison
from anomedge.parity.outputs import Outputs
from anomedge.parity.plan import Plan
from anomedge.parity.records import CheckResult
from anomedge.progress import track
from anomedge.runtimes import Session, Tensors, get, variant_of
from anomedge.threshold import Decision, scale_of_each

__all__ = [
    "ANOMALIB_OUTPUTS",
    "INPUT",
    "as_input",
    "check_layout",
    "has_layout",
]

INPUT = "input"
"""Name of the graph's input in anomalib's layout."""

ANOMALIB_OUTPUTS = {
    "pred_score": "float32",
    "pred_label": "bool",
    "anomaly_map": "float32",
    "pred_mask": "bool",
}
"""Names and types of the outputs, in anomalib's order."""

_PER_PICTURE = ("pred_score", "pred_label")
_ROUNDING = 4 * float(np.finfo(np.float32).eps)


def as_input(frames: Frame) -> npt.NDArray[np.float32]:
    """Convert frames to anomalib's input.

    Args:
        frames: uint8 (B, H, W, 3).

    Returns:
        float32 (B, 3, H, W) in [0, 1].
    """
    scaled = (frames / 255.0).astype(np.float32)
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def check_layout(
    bundle: Bundle, comparison: Comparison, plan: Plan, runtime: str
) -> list[CheckResult]:
    """Check every picture through the layout's graph, at every batch size.

    The thresholds are the manifest's, which are part of the graph; local
    thresholds do not apply.

    Raises:
        BundleError: the bundle was not exported with this layout.
    """
    files = _files(bundle, variant_of(plan.precision))
    kind = get(runtime)
    with kind.from_variant(bundle, files, plan.options(runtime)) as session:
        outputs = _check_outputs(bundle, session, max(plan.batches))
        if not outputs.passed:
            return [outputs]
        measured = _measure(
            session, comparison, bundle.manifest.decision, plan.batches
        )
    return [outputs, *_check_pictures(session, measured, comparison)]


def has_layout(bundle: Bundle, plan: Plan) -> bool:
    """Whether the plan's variant of the bundle has the layout's graph."""
    variant = bundle.variant(variant_of(plan.precision))
    return variant.find("anomalib") is not None


def _files(bundle: Bundle, precision: str) -> Variant:
    """Return a variant with the layout's files as its main graphs."""
    variant = bundle.variant(precision)
    if variant.find("anomalib") is None:
        raise BundleError(
            f"{bundle.path} has no anomalib layout; expected one: export with "
            f"--layout anomalib"
        )
    return variant.with_model("anomalib")


def _check_outputs(bundle: Bundle, session: Session, count: int) -> CheckResult:
    """Check names, order, types and shapes of the outputs."""
    frames = np.zeros((count, *bundle.manifest.input.frame, 3), dtype=np.uint8)
    outputs = session.run({INPUT: as_input(frames)})
    shapes = {
        promised.name: (count, *promised.shape)
        for promised in bundle.manifest.outputs
    }
    expected = {
        name: f"{dtype} {shapes['score' if name in _PER_PICTURE else 'anomaly_map']}"
        for name, dtype in ANOMALIB_OUTPUTS.items()
    }
    got = {
        name: f"{array.dtype} {array.shape}" for name, array in outputs.items()
    }
    passed = list(got.items()) == list(expected.items())
    return _check(session, "outputs", passed, f"got {got}; expected {expected}")


@dataclass
class _Measured:
    """Differences between the layout's outputs and the reference.

    Attributes:
        decision: the manifest's decision.
        errors: largest error of score and map, in the [0, 1] range.
        flipped: names of the pictures with another label.
        wrong_pixels: number of pixels on the wrong side of the threshold.
    """

    decision: Decision
    errors: dict[str, float] = field(
        default_factory=lambda: {"pred_score": 0.0, "anomaly_map": 0.0}
    )
    flipped: list[str] = field(default_factory=list)
    wrong_pixels: int = 0

    def add_error(self, name: str, error: float) -> None:
        """Keep the larger error; NaN counts as infinite."""
        worst = np.inf if np.isnan(error) else error
        self.errors[name] = max(self.errors[name], worst)


def _measure(
    session: Session,
    comparison: Comparison,
    decision: Decision,
    batches: Sequence[int],
) -> _Measured:
    """Run all pictures at all batch sizes; measure the differences."""
    reference, measured = comparison.reference, _Measured(decision)
    band = comparison.tolerance.map * float(
        scale_of_each(decision.pixel_threshold, decision.scale)
    )
    runs = list(_runs(len(reference.pictures), batches))
    for places in track(
        runs, f"{session.name}, layout anomalib", total=len(runs)
    ):
        pictures = [reference.pictures[place] for place in places]
        frames = np.stack([p.frame(comparison.frame) for p in pictures])
        outputs = session.run({INPUT: as_input(frames)})
        expected = reference.outputs.at(places)
        for name, error in _errors(outputs, expected, decision).items():
            measured.add_error(name, error)
        flips = decision.is_anomalous(expected.score) != outputs["pred_label"]
        for picture, flip in zip(pictures, flips, strict=True):
            if flip:
                measured.flipped.append(picture.name)
        measured.wrong_pixels += _count_wrong_pixels(
            outputs["pred_mask"], expected.anomaly_map, decision, band
        )
    return measured


def _runs(count: int, batches: Sequence[int]) -> Iterator[list[int]]:
    """Yield the indices of the pictures of each run."""
    for batch in batches:
        for start in range(0, count, batch):
            yield [(start + i) % count for i in range(batch)]


def _check_pictures(
    session: Session, measured: _Measured, comparison: Comparison
) -> Iterator[CheckResult]:
    """Yield the checks of labels, masks, scores and maps."""
    flipped, wrong_pixels = measured.flipped, measured.wrong_pixels
    yield _check(
        session,
        "pred_label",
        not flipped,
        f"{len(flipped)} labels flipped: {', '.join(flipped[:5])}",
    )
    yield _check(
        session,
        "pred_mask",
        not wrong_pixels,
        f"{wrong_pixels} pixels on the wrong side",
    )
    tolerance, decision = comparison.tolerance, measured.decision
    share = decision.scale / decision.range
    limits = {"pred_score": tolerance.score, "anomaly_map": tolerance.map}
    for name, error in measured.errors.items():
        allowed = limits[name] * share + _ROUNDING
        detail = f"off by {error:.2e}; allowed {allowed:.1e}"
        check = _check(session, name, error <= allowed, detail)
        yield check.model_copy(update={"error": error, "tolerance": allowed})


def _errors(
    outputs: Tensors, expected: Outputs, decision: Decision
) -> dict[str, float]:
    """Return the largest errors of score and map, in the [0, 1] range."""
    score = decision.normalised(expected.score)
    anomaly_map = decision.normalised(
        expected.anomaly_map, decision.pixel_threshold
    )
    return {
        "pred_score": float(np.abs(outputs["pred_score"] - score).max()),
        "anomaly_map": float(
            np.abs(outputs["anomaly_map"] - anomaly_map).max()
        ),
    }


def _count_wrong_pixels(
    mask: npt.NDArray[np.bool_],
    raw_map: npt.NDArray[np.floating],
    decision: Decision,
    band: float,
) -> int:
    """Count the pixels of the mask that differ from the original's.

    Pixels within `band` of the threshold are not counted: both labels are
    right there.
    """
    distances = np.abs(raw_map.astype(np.float64) - decision.pixel_threshold)
    wrong = (mask != decision.mask(raw_map)) & (distances > band)
    return int(wrong.sum())


def _check(
    session: Session, name: str, passed: bool, detail: str
) -> CheckResult:
    return CheckResult(
        runtime=session.name,
        kind="contract",
        name=f"anomalib {name}",
        detail="" if passed else detail,
        passed=bool(passed),
    )
