r"""Which stage makes an error? Each one is run alone, from the original's values of the stages before it.

Through the tapped graph an error arrives that a stage made or was handed, and a network may grow a pixel's error a
hundredfold, so the first stage that is far off need not be the one at fault. `segments.onnx` is that graph cut at every
tap: with :math:`r_k` the original's value of stage k and :math:`D_k` the copy's way to it,

.. math:: e_k = \lVert D_k(r_{<k}) - r_k \rVert, \qquad
          c_k = \lVert y_{k-1} - y_k \rVert, \quad y_k = D_n \circ \dots \circ D_{k+1}(r_k)

:math:`e_k` is the error that stage k makes, and :math:`c_k` what becomes of it in map and score, a share of
`anomedge.threshold.scale_of_each` of the original's. The outputs' errors are at most the sum of the :math:`c_k`, so where
they are too large some :math:`c_k` is not small. A stage exceeds its share where :math:`e_k` is more than a stage may make,
or :math:`c_k` more than the outputs may be off. Decision 0009 says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from anomedge.bundle import Bundle
from anomedge.bundle.variants import SEGMENTS
from anomedge.errors import BundleError
from anomedge.parity.certificate import Finding, StageError, Tolerance
from anomedge.parity.compare import FRAMES
from anomedge.parity.plan import Plan, Reference
from anomedge.parity.stages import (
    OUTPUTS,
    Off,
    copies_of,
    errors_as_they_arrive,
    off_by,
    scale_at,
    scales_of,
)
from anomedge.progress import track
from anomedge.runtimes import Session, Tensors, get, variant_of

__all__ = ["GIVEN", "localise"]

GIVEN = "given/"
"""Before a stage's name: the input of `segments.onnx` that stands for its value."""

_INHERITED = 0.25
"""Levels of a backbone between which nothing is cut inherit each other's errors, and hardly grow them fourfold."""

_NOISE = 4
"""Runs of one input may differ on a GPU; a level that hears of another moves by more."""

_LOOK_AT = {
    "preprocessed": "the resize and its antialiasing, the order of the colours, the division by 255, the crop",
    "features": "the backbone's precision (TF32, bfloat16, float16), the input's mean and deviation, folded BatchNorm",
    "distances": "the stored statistics (mean, whitening, bank) and products in half precision",
    "anomaly_map": "the matrices of upsampling and blur",
    "score": "the reduction of the map, or the re-weighting by neighbours in the bank",
}


def localise(
    bundle: Bundle,
    reference: Reference,
    plan: Plan,
    runtime: str,
    tolerance: Tolerance,
) -> tuple[list[StageError], Finding]:
    """Every stage's own error under one runtime, and which is the first to exceed its share.

    Raises:
        BundleError: the bundle's graphs do not have the stages that the reference has.
    """
    names = _known(bundle, reference)
    with plan.open(bundle, runtime) as session:
        fused = errors_as_they_arrive(bundle, session, reference, OUTPUTS)
    with plan.open(bundle, runtime, stages=True) as session:
        arrived = errors_as_they_arrive(bundle, session, reference, names)
    variant = bundle.variant(variant_of(plan.precision))
    if variant.find(SEGMENTS) is None:
        parts, made, effects = _by_kind(names), arrived, dict[str, _Effect]()
    else:
        with _opened(bundle, plan, runtime) as session:
            parts, made, effects = _made(
                _Segments(bundle, session, reference, names), tolerance
            )
    rows = [
        row
        for part in parts
        for row in _rows(
            part, made, effects, tolerance, runtime, plan.precision
        )
    ]
    stage, text = _first(rows)
    if stage is None:
        text = _together(rows, arrived, tolerance) or _fusion(
            arrived, fused, tolerance
        )
    elif not effects:
        text += "; this bundle has no segments.onnx, so the stage may have been handed the error: export again"
    passed = not text
    text = text or "every stage is within its share"
    return rows, Finding(
        runtime=runtime,
        precision=plan.precision,
        stage=stage,
        passed=passed,
        text=text,
    )


def _known(bundle: Bundle, reference: Reference) -> list[str]:
    """The stages of which every picture has the original's value, in order."""
    names = [
        n
        for n in bundle.manifest.stages
        if all(n in stages for stages in reference.stages.values())
    ]
    if not reference.stages or not {*OUTPUTS} < {*names}:
        raise BundleError(
            f"{bundle.path}: {reference.source} have stages {names}; expected all: export the bundle again"
        )
    return names


def _opened(bundle: Bundle, plan: Plan, runtime: str) -> Session:
    """The graph of segments, in the place of the bundle's own."""
    kind, variant = get(runtime), bundle.variant(variant_of(plan.precision))
    return kind.from_variant(
        bundle, variant.with_model(SEGMENTS), plan.options(runtime)
    )


class _Segments:
    """The stages of one session, each from values that it is given; several pictures' worth of the original's."""

    def __init__(
        self,
        bundle: Bundle,
        session: Session,
        reference: Reference,
        names: list[str],
    ) -> None:
        self.names = names
        self.scales = scales_of(reference.exported_decision(bundle), reference)
        self.reference = reference
        self._session, self._copies = session, copies_of(bundle)
        self._frame = bundle.manifest.input.frame
        known = {FRAMES, *(GIVEN + name for name in names)}
        cut = {FRAMES, GIVEN + names[0]} <= session.inputs.keys() <= known
        floats = all(
            name == FRAMES or spec.dtype.startswith("float")
            for name, spec in session.inputs.items()
        )
        if not cut or not floats or not set(names) <= session.outputs.keys():
            raise BundleError(
                f"{session.path}: takes {sorted(session.inputs)} and gives {sorted(session.outputs)}; expected the stages "
                f"{names}, each from values given for the others: export again"
            )

    def off_by(
        self, place: int, name: str, wanted: Tensors, produced: Tensors
    ) -> Off:
        """How far two values of a stage of a picture are apart, a share of what the original's is held to."""
        picture, original = (
            self.reference.pictures[place].name,
            self.reference.stages[place][name],
        )
        return off_by(
            wanted[name],
            produced[name],
            scale_at(name, original, self.scales),
            picture,
        )

    def run(self, place: int, given: Tensors) -> Tensors:
        """Every stage of a picture, each from the given values."""
        feed = {
            name: given[name.removeprefix(GIVEN)].astype(spec.dtype)
            for name, spec in self._session.inputs.items()
            if name != FRAMES
        }
        feed[FRAMES] = self.reference.pictures[place].frame(self._frame)[None]
        outputs = self._session.run(
            {
                name: np.repeat(x, self._copies, axis=0)
                for name, x in feed.items()
            }
        )
        for name in self.names:
            if outputs[name].shape != (
                wanted := (self._copies, *given[name].shape[1:])
            ):
                raise BundleError(
                    f"{self._session.path}: stage {name} is {outputs[name].shape}; expected {wanted}: export again"
                )
        return {name: outputs[name][:1] for name in self.names}

    def parts(self) -> list[list[str]]:
        """The stages, together where nothing is cut between them.

        A level of a backbone that changes with the value given for another one does not inherit that one's error.
        """
        place, right = next(iter(self.reference.stages.items()))
        alone, again = self.run(place, right), self.run(place, right)
        parts: list[list[str]] = []
        for levels in _by_kind(self.names):
            afresh = {levels[0]}
            for level in levels[:-1]:
                moved = self.run(place, {**right, level: right[level] + 1})
                afresh |= {
                    name
                    for name in levels
                    if off_by(moved[name], alone[name], 1.0, "").error
                    > _NOISE * off_by(again[name], alone[name], 1.0, "").error
                }
            for level in levels:
                if level in afresh:
                    parts.append([])
                parts[-1].append(level)
        return parts

    def carried_on(
        self, place: int, right: Tensors, alone: Tensors, known: Sequence[str]
    ) -> Tensors:
        """Every stage: the first ones, which are known, right, and the rest as they follow from those.

        `alone`, what each stage makes of right values, is the first step already.
        """
        values = {
            name: right[name] if name in known else alone[name]
            for name in self.names
        }
        for _ in range(len(self.names) - len(known) - 1):
            values |= {
                name: x
                for name, x in self.run(place, values).items()
                if name not in known
            }
        return values


class _Effect(NamedTuple):
    """What becomes of a stage's error in map or score, whichever is more of what is allowed there."""

    off: Off
    allowed: float

    @property
    def share(self) -> float:
        """Of what is allowed; over 1 is too much."""
        return self.off.error / max(self.allowed, 1e-300)


def _made(
    segments: _Segments, tolerance: Tolerance
) -> tuple[list[list[str]], dict[str, Off], dict[str, _Effect]]:
    """The parts, what each stage makes by itself, and what becomes of it, with the rest of its part, in the outputs."""
    parts = segments.parts()
    made: dict[str, Off] = {}
    effects: dict[str, _Effect] = {}
    for place, right in track(
        list(segments.reference.stages.items()), "stage by stage"
    ):
        alone = segments.run(place, right)
        for name in segments.names:
            off = segments.off_by(place, name, right, alone)
            made[name] = max(made.get(name, off), off, key=lambda o: o.error)
        known: list[str] = []
        before = segments.carried_on(place, right, alone, known)
        for part in parts:
            known += part
            after = segments.carried_on(place, right, alone, known)
            for name, allowed in _limits(tolerance).items():
                effect = _Effect(
                    segments.off_by(place, name, after, before), allowed
                )
                largest = max(
                    effects.get(part[0], effect), effect, key=lambda e: e.share
                )
                effects |= dict.fromkeys(part, largest)
            before = after
    return parts, made, effects


def _rows(
    part: list[str],
    made: dict[str, Off],
    effects: dict[str, _Effect],
    tolerance: Tolerance,
    runtime: str,
    precision: str,
) -> Iterator[StageError]:
    """One row a stage, judged with the others of its part."""
    effect = effects.get(part[0])
    failed = _failed(part, made, effect, tolerance)
    for name in part:
        yield StageError(
            runtime=runtime,
            precision=precision,
            name=name,
            error=made[name].error,
            allowed=tolerance.at(name),
            effect=effect and effect.off.error,
            effect_allowed=effect and effect.allowed,
            picture=made[name].picture,
            where=made[name].where,
            passed=name not in failed,
        )


def _failed(
    levels: list[str],
    made: dict[str, Off],
    effect: _Effect | None,
    tolerance: Tolerance,
) -> set[str]:
    """Levels that make too much, and the one that their error, or its effect, comes from."""
    over = [
        name for name in levels if not made[name].error <= tolerance.at(name)
    ]
    if over:
        return {_origin(levels[: levels.index(over[0]) + 1], made), *over}
    return (
        {_origin(levels, made)}
        if effect is not None and not effect.share <= 1
        else set()
    )


def _origin(levels: Sequence[str], made: dict[str, Off]) -> str:
    """The first level that the last ones may have their error from."""
    largest = max(made[name].error for name in levels)
    return next(
        name for name in levels if made[name].error >= _INHERITED * largest
    )


def _first(rows: Sequence[StageError]) -> tuple[str | None, str]:
    """The first stage that failed, in words."""
    row = next((row for row in rows if not row.passed), None)
    if row is None:
        return None, ""
    said = f"error {row.error:.2e}, allowed {row.allowed:.0e}"
    if row.effect is not None and row.effect_allowed is not None:
        said += f", map or score off by {row.effect:.2e} through it, allowed {row.effect_allowed:.0e}"
    heirs = [
        heir
        for heir in rows
        if _kind(heir.name) == _kind(row.name) and heir.makes_too_much
    ]
    if heirs and not row.makes_too_much:
        said += f", grown to {heirs[0].error:.2e} at {heirs[0].name}"
    where = row.picture + (f" at {row.where}" if row.where else "")
    hint = _LOOK_AT.get(_kind(row.name), "its weights and its precision")
    return row.name, (
        f"first to exceed its share: {row.name} ({said}; worst in {where}) under {row.runtime}: look at {hint}"
    )


def _together(
    rows: Sequence[StageError], arrived: dict[str, Off], tolerance: Tolerance
) -> str:
    """No stage fails by itself, but the outputs do: then some stage does more to them than its equal share."""
    if not _too_far(arrived, tolerance):
        return ""
    largest = max(
        (row for row in rows if row.effect is not None),
        key=lambda row: row.effect or 0.0,
        default=None,
    )
    most = (
        f", most of it through {largest.name} ({largest.effect:.2e})"
        if largest
        else ""
    )
    return f"no stage exceeds its share by itself; all together {_too_far(arrived, tolerance)}{most}"


def _fusion(
    arrived: dict[str, Off], fused: dict[str, Off], tolerance: Tolerance
) -> str:
    """The graph that ships is off where the one with taps is not."""
    if _too_far(arrived, tolerance) or not (off := _too_far(fused, tolerance)):
        return ""
    return (
        f"the tapped graph agrees; the one that ships does not ({off}): look at how this runtime fuses its operators, "
        f"or at a file that belongs to another export"
    )


def _too_far(outputs: dict[str, Off], tolerance: Tolerance) -> str:
    """Which of the outputs are further off than allowed, in words; empty where none is."""
    wrong = [
        f"{name.removeprefix('anomaly_')} off by {outputs[name].error:.2e}"
        for name, allowed in _limits(tolerance).items()
        if not outputs[name].error <= allowed
    ]
    return ", ".join(wrong)


def _limits(tolerance: Tolerance) -> dict[str, float]:
    return {"anomaly_map": tolerance.map, "score": tolerance.score}


def _by_kind(names: Sequence[str]) -> list[list[str]]:
    """Neighbours of one kind together.

    >>> _by_kind(["preprocessed", "features/a", "features/b", "score"])
    [['preprocessed'], ['features/a', 'features/b'], ['score']]
    """
    return [list(of_kind) for _, of_kind in groupby(names, _kind)]


def _kind(name: str) -> str:
    """What a stage is, whichever layer it is of."""
    return name.partition("/")[0]
