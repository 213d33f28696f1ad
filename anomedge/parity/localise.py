r"""Locate the first faulty stage: own error of each stage and its effect.

The tapped graph shows accumulated errors, and a network may amplify a pixel's
error a hundredfold. The first stage with a large accumulated error need not be
the faulty one. `segments.onnx` is the tapped graph, cut at every tap. With
:math:`r_k` the original's value of stage k and :math:`D_k` the copy's
computation of it,

.. math:: e_k = \lVert D_k(r_{<k}) - r_k \rVert, \qquad
          c_k = \lVert y_{k-1} - y_k \rVert, \quad
          y_k = D_n \circ \dots \circ D_{k+1}(r_k)

:math:`e_k` is the own error of stage k and :math:`c_k` its effect on map and
score, a fraction of `anomedge.threshold.scale_of_each` of the original's values.
The errors of the outputs are at most the sum of the :math:`c_k`, so outputs that
are too far off have a large :math:`c_k`. A stage exceeds its share if
:math:`e_k` exceeds the limit of a stage, or :math:`c_k` the limit of the outputs.
See docs/decisions/0009-a-stages-share.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from anomedge.bundle import Bundle
from anomedge.bundle.variants import SEGMENTS
from anomedge.errors import BundleError
from anomedge.parity.comparison import Comparison
from anomedge.parity.deviations import FINAL_STAGES, Deviation, larger
from anomedge.parity.diagnosis import Accumulated, diagnose, output_limits
from anomedge.parity.plan import Plan
from anomedge.parity.records import Diagnosis, StageDeviation
from anomedge.parity.segments import (
    Segments,
    fault_of_cut_graph,
    open_segments,
)
from anomedge.parity.stages import accumulated_deviations, grouped_by_kind
from anomedge.parity.tolerances import Tolerance
from anomedge.progress import track
from anomedge.runtimes import variant_of

__all__ = ["Effect", "localise"]

_INHERITED = 0.25
"""Levels that are not cut apart inherit each other's errors, amplified less than
4x; an earlier level with this share of the largest error is its likely origin."""


class Effect(NamedTuple):
    """Effect of a stage's error on map or score, and the limit of that output."""

    deviation: Deviation
    allowed: float

    @property
    def share(self) -> float:
        """Fraction of the limit; above 1 is a failure."""
        return self.deviation.error / max(self.allowed, 1e-300)


@dataclass
class OwnDeviations:
    """Own error of each stage, its effect, and the groups that share effects.

    `effects` is empty for a bundle without `segments.onnx`.
    """

    groups: list[list[str]]
    errors: dict[str, Deviation] = field(default_factory=dict)
    effects: dict[str, Effect] = field(default_factory=dict)


def localise(
    bundle: Bundle, comparison: Comparison, plan: Plan, runtime: str
) -> tuple[list[StageDeviation], Diagnosis]:
    """Return the own error of every stage, and the first stage over its limit.

    A cut graph that does not belong to the graph of stages could blame any stage: it is not run, and the diagnosis
    says so.

    Raises:
        BundleError: the bundle's graphs lack stages of the reference.
    """
    names = _compared_stages(bundle, comparison)
    variant = bundle.variant(variant_of(plan.precision))
    has_segments = variant.find(SEGMENTS) is not None
    if has_segments and (fault := fault_of_cut_graph(bundle, plan)):
        return [], Diagnosis(
            runtime=runtime,
            precision=plan.precision,
            stage=None,
            passed=False,
            text=f"{fault}; no stage is named: export again",
        )
    with plan.open(bundle, runtime) as session:
        shipped = accumulated_deviations(session, comparison, FINAL_STAGES)
    with plan.open(bundle, runtime, stages=True) as session:
        tapped = accumulated_deviations(session, comparison, names)
    if not has_segments:
        own = OwnDeviations(grouped_by_kind(names), tapped)
    else:
        with open_segments(bundle, plan, runtime) as session:
            segments = Segments(session, comparison, names)
            own = _own_deviations(segments, comparison)
    rows: list[StageDeviation] = []
    for group in own.groups:
        rows += _rows(group, own, comparison.tolerance, plan.precision, runtime)
    stage, text = diagnose(
        rows, Accumulated(tapped, shipped), comparison.tolerance
    )
    return rows, Diagnosis(
        runtime=runtime,
        precision=plan.precision,
        stage=stage,
        passed=not text,
        text=text or "every stage is within its share",
    )


def _compared_stages(bundle: Bundle, comparison: Comparison) -> list[str]:
    """Return the stages that the reference has for every picture, in order."""
    reference = comparison.reference
    names = [
        name
        for name in bundle.manifest.stages
        if all(name in stages for stages in reference.stages.values())
    ]
    outputs = {output.name for output in bundle.manifest.outputs}
    if not reference.stages or not outputs < {*names}:
        raise BundleError(
            f"{bundle.path}: {reference.source} have stages {names}; expected "
            f"all: export the bundle again"
        )
    return names


def _own_deviations(
    segments: Segments, comparison: Comparison
) -> OwnDeviations:
    """Measure the own error and the effect of every stage on all pictures."""
    own = OwnDeviations(segments.groups())
    for place, original in track(
        list(comparison.reference.stages.items()), "stage by stage"
    ):
        alone = segments.run(place, original)
        for name in segments.names:
            deviation = comparison.stage_deviation(place, name, alone[name])
            own.errors[name] = larger(own.errors.get(name), deviation)
        correct: list[str] = []
        before = segments.propagated(place, correct, alone)
        for group in own.groups:
            correct += group
            after = segments.propagated(place, correct, alone)
            effect = own.effects.get(group[0])
            limits = output_limits(comparison.tolerance, segments.names)
            for name, allowed in limits.items():
                deviation = comparison.stage_deviation(
                    place, name, before[name], after[name]
                )
                effect = _larger_effect(effect, Effect(deviation, allowed))
            if effect is not None:
                own.effects |= dict.fromkeys(group, effect)
            before = after
    return own


def _larger_effect(one: Effect | None, other: Effect) -> Effect:
    return other if one is None or other.share > one.share else one


def _rows(
    group: list[str],
    own: OwnDeviations,
    tolerance: Tolerance,
    precision: str,
    runtime: str,
) -> Iterator[StageDeviation]:
    """Yield one row per stage of a group; the group is judged as a whole."""
    effect = own.effects.get(group[0])
    failed = _failed(group, own.errors, effect, tolerance)
    for name in group:
        deviation = own.errors[name]
        yield StageDeviation(
            runtime=runtime,
            precision=precision,
            name=name,
            error=deviation.error,
            allowed=tolerance.at(name),
            effect=effect and effect.deviation.error,
            effect_allowed=effect and effect.allowed,
            picture=deviation.picture,
            where=deviation.where,
            passed=name not in failed,
        )


def _failed(
    levels: list[str],
    errors: dict[str, Deviation],
    effect: Effect | None,
    tolerance: Tolerance,
) -> set[str]:
    """Return the levels over their limit and the likely origin of the error."""
    over = [
        name for name in levels if not errors[name].error <= tolerance.at(name)
    ]
    if over:
        until_first = levels[: levels.index(over[0]) + 1]
        return {_origin(until_first, errors), *over}
    if effect is not None and not effect.share <= 1:
        return {_origin(levels, errors)}
    return set()


def _origin(levels: Sequence[str], errors: dict[str, Deviation]) -> str:
    """Return the first level from which the largest error may be inherited."""
    largest = max(errors[name].error for name in levels)
    return next(
        name for name in levels if errors[name].error >= _INHERITED * largest
    )
