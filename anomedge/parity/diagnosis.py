"""Name the first faulty stage and give advice, from the rows of `localise`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from anomedge.parity.deviations import Deviation
from anomedge.parity.records import StageDeviation
from anomedge.parity.stages import kind_of
from anomedge.parity.tolerances import Tolerance

__all__ = ["Accumulated", "diagnose", "output_limits"]

_ADVICE = {
    "preprocessed": "the resize and its antialiasing, the order of the colours, the division by 255, the crop",
    "features": "the backbone's precision (TF32, bfloat16, float16), the input's mean and deviation, folded BatchNorm",
    "distances": "the stored statistics (mean, whitening, bank) and products in half precision",
    "anomaly_map": "the matrices of upsampling and blur",
    "score": "the reduction of the map, or the re-weighting by neighbours in the bank",
}
_OTHER_ADVICE = "its weights and its precision"


class Accumulated(NamedTuple):
    """Accumulated errors of stages, under the tapped and the shipped graph."""

    tapped: dict[str, Deviation]
    shipped: dict[str, Deviation]


def output_limits(
    tolerance: Tolerance, stages: Collection[str]
) -> dict[str, float]:
    """Return the largest errors allowed for the outputs among some stages."""
    limits = {"anomaly_map": tolerance.map, "score": tolerance.score}
    return {name: limits[name] for name in limits if name in stages}


def diagnose(
    rows: Sequence[StageDeviation],
    accumulated: Accumulated,
    tolerance: Tolerance,
) -> tuple[str | None, str]:
    """Return the first faulty stage, if any, and the failure in words.

    The words are empty if nothing fails.
    """
    first = next((row for row in rows if not row.passed), None)
    if first is not None:
        return first.name, _stage_text(first, rows)
    excess = _excess(accumulated.tapped, tolerance)
    if excess:
        return None, _sum_text(rows, excess)
    excess = _excess(accumulated.shipped, tolerance)
    if excess:
        return None, (
            f"the tapped graph agrees; the one that ships does not ({excess}): "
            f"look at how this runtime fuses its operators, or at a file that "
            f"belongs to another export"
        )
    return None, ""


def _stage_text(row: StageDeviation, rows: Sequence[StageDeviation]) -> str:
    """Describe the first stage over its limit."""
    errors = f"error {row.error:.2e}, allowed {row.allowed:.0e}"
    if row.effect is not None and row.effect_allowed is not None:
        has_map = any(other.name == "anomaly_map" for other in rows)
        outputs = "map or score" if has_map else "score"
        errors += f", {outputs} off by {row.effect:.2e} through it, allowed {row.effect_allowed:.0e}"
    if not row.exceeds_limit:
        errors += _amplified_text(row, rows)
    where = row.picture + (f" at {row.where}" if row.where else "")
    text = (
        f"first to exceed its share: {row.name} ({errors}; worst in {where}) "
        f"under {row.runtime}: look at "
        f"{_ADVICE.get(kind_of(row.name), _OTHER_ADVICE)}"
    )
    if all(other.effect is None for other in rows):
        text += "; this bundle has no segments.onnx, so the stage may have inherited the error: export again"
    return text


def _amplified_text(row: StageDeviation, rows: Sequence[StageDeviation]) -> str:
    """Name the first later level that exceeds its limit, if there is one."""
    for other in rows:
        if kind_of(other.name) == kind_of(row.name) and other.exceeds_limit:
            return f", grown to {other.error:.2e} at {other.name}"
    return ""


def _sum_text(rows: Sequence[StageDeviation], excess: str) -> str:
    """Describe outputs over their limits with no single stage over its own."""
    text = f"no stage exceeds its share by itself; all together {excess}"
    effects = {row.name: row.effect for row in rows if row.effect is not None}
    if not effects:
        return text
    name = max(effects, key=lambda name: effects[name])
    return f"{text}, most of it through {name} ({effects[name]:.2e})"


def _excess(outputs: dict[str, Deviation], tolerance: Tolerance) -> str:
    """List the outputs over their limits; empty if there is none."""
    over = []
    for name, allowed in output_limits(tolerance, outputs).items():
        error = outputs[name].error
        if not error <= allowed:
            over.append(f"{name.removeprefix('anomaly_')} off by {error:.2e}")
    return ", ".join(over)
