"""Check a bundle's manifest against independent sources: the model file and this release.

Anyone who can write a bundle can change the thresholds, scale, tolerances and golden scores in its manifest and
recompute all digests. So they are compared with the model file, if given, and always with this release's tolerances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from anomedge.bundle import Bundle
from anomedge.bundle.operators import faults_of_ir, faults_of_onnx
from anomedge.bundle.quantised import differing_fields
from anomedge.parity.comparison import Comparison
from anomedge.parity.deviations import FINAL_STAGES
from anomedge.parity.expected import bundle_checks
from anomedge.parity.graph_files import faults_of_files
from anomedge.parity.plan import Plan
from anomedge.parity.records import BUNDLE, CheckResult
from anomedge.parity.reference import GOLDEN, Original, Reference
from anomedge.parity.stages import deviations_of_stored_stages
from anomedge.parity.statements import faults_of_statements
from anomedge.parity.stowaways import stowaways
from anomedge.parity.tolerances import (
    TOLERANCES,
    Tolerance,
    release_tolerance,
)
from anomedge.parity.verdict import failures_of_cell
from anomedge.threshold import Decision, spread

__all__ = ["OPERATORS", "check_manifest"]

OPERATORS = "operators"
"""Name of the check of all graphs' operators; graphs that fail it are not run."""

_LARGEST_SCALE_TO_SPREAD = 10.0
"""Largest plausible ratio of the scale to the spread of all scores, extreme frames included."""


def check_manifest(
    bundle: Bundle, reference: Reference, plan: Plan
) -> list[CheckResult]:
    """Check what the manifest states; a difference is a failed check.

    With a model file: decision, geometry, licence, stages, value ranges and golden frames. Without one, only the
    plausibility of the scale and the names of the stages. Always: tolerances, graphs, their operators and files.
    `anomedge.parity.statements.STATEMENTS` lists every field.
    """
    original, operators = reference.original, _operators(bundle)
    faults = _faults_of_files(bundle, reference) if operators.passed else {}
    makers: dict[str, Callable[[], CheckResult]] = {
        "tolerances": partial(_tolerances, bundle, plan),
        "graphs": partial(_graphs, bundle),
        OPERATORS: lambda: operators,
        **{n: partial(_check, n, wrong) for n, wrong in faults.items()},
    }
    makers |= (
        {
            "scale": partial(_scale, bundle, reference),
            "stages": partial(_stated_stages, bundle),
        }
        if original is None
        else _against_original(bundle, reference, original)
    )
    names = bundle_checks(
        model=original is not None,
        stages=bool(reference.stages),
        golden=_has_golden(bundle, reference),
        ranges=original is not None and original.ranges is not None,
    )
    # Graphs that are not allowed or not the manifest's are not examined further.
    return [
        makers[name]().model_copy(update={"precision": plan.precision})
        for name in names
        if name in makers
    ]


def _faults_of_files(bundle: Bundle, reference: Reference) -> dict[str, str]:
    faults = faults_of_files(bundle)
    if not faults["interfaces"]:
        faults |= faults_of_statements(bundle, reference)
    return faults


def _against_original(
    bundle: Bundle, reference: Reference, original: Original
) -> dict[str, Callable[[], CheckResult]]:
    return {
        "decision": partial(_decision, bundle, original.decision),
        "geometry": partial(_geometry, bundle, original),
        "licence": partial(_licence, bundle, original),
        "quantisation": partial(_quantisation, bundle, original),
        "stages": partial(_stages, bundle, reference),
        "golden frames": partial(_golden, bundle, original),
    }


def _check(name: str, wrong: str) -> CheckResult:
    return CheckResult(
        runtime=BUNDLE, kind="bundle", name=name, detail=wrong, passed=not wrong
    )


def _tolerances(bundle: Bundle, plan: Plan) -> CheckResult:
    """Check that no tolerance is wider than this release's, for every precision that the release knows."""
    wider: list[str] = []
    proven_first = sorted(TOLERANCES, key=lambda name: name != plan.precision)
    for precision in proven_first:
        wider += _wider(
            bundle, precision, release_tolerance(precision, plan.widen)
        )
    shown = ", ".join(wider[:3]) + (
        f" and {len(wider) - 3} more" if len(wider) > 3 else ""
    )
    advice = "a bundle must not widen its own tolerances: --widen does, and the certificate says so"
    return _check("tolerances", f"{shown}; {advice}" if wider else "")


def _wider(bundle: Bundle, precision: str, allowed: Tolerance) -> Iterator[str]:
    limits = allowed.model_dump()
    for name, value in bundle.manifest.tolerances.get(precision, {}).items():
        if name in limits and not value <= limits[name] * (1 + 1e-9):
            yield f"{precision} {name} is {value:g}; this release allows {limits[name]:g}"


def _graphs(bundle: Bundle) -> CheckResult:
    """Check that the manifest names every file; users could take another graph for a proven one."""
    wrong = [
        f"variant {precision} has layout {layout} as IR alone"
        for precision, variant in bundle.manifest.variants.items()
        for layout in variant.layouts()
        if variant.find(layout) is None
    ]
    strangers = list(stowaways(bundle.manifest))
    more = f" and {len(strangers) - 3} more" if len(strangers) > 3 else ""
    return _check("graphs", ", ".join([*wrong, *strangers[:3]]) + more)


def _licence(bundle: Bundle, original: Original) -> CheckResult:
    same = bundle.manifest.licence == original.licence
    return _check("licence", "" if same else "is not what the model file says")


def _quantisation(bundle: Bundle, original: Original) -> CheckResult:
    stated = bundle.manifest.quantisation
    wrong = differing_fields(stated, original.quantisation)
    named = f"{', '.join(wrong)}: not what the model file says"
    return _check("quantisation", named if wrong else "")


def _operators(bundle: Bundle) -> CheckResult:
    """Check every graph of the bundle, also those that this proof does not run, against the allowed operators."""
    wrong = []
    for name in _graph_names(bundle):
        faults_of = faults_of_ir if name.endswith(".xml") else faults_of_onnx
        fault = next(faults_of(bundle.read(name)), None)
        wrong += [f"{name} {fault}"] if fault else []
    return _check(OPERATORS, "; ".join(wrong))


def _graph_names(bundle: Bundle) -> list[str]:
    """List the files that are graphs by their names or by the manifest's variants."""
    named = {
        name
        for name in bundle.manifest.files
        if name.lower().endswith((".onnx", ".xml"))
    }
    for variant in bundle.manifest.variants.values():
        named |= {*variant.files()}
    return sorted(named)


def _decision(bundle: Bundle, expected: Decision) -> CheckResult:
    """Compare the manifest's decision with the model file's; local settings are not part of this check."""
    got, wanted = bundle.manifest.decision.model_dump(), expected.model_dump()
    origin_differs = got.pop("origin") != wanted.pop("origin")
    wrong = [
        f"{name} is {got.get(name)!r}; {wanted.get(name)!r} in the model file"
        for name in got | wanted
        if got.get(name) != wanted.get(name)
    ]
    wrong += (
        ["the origin of the threshold is not the model file's"]
        if origin_differs
        else []
    )
    source = bundle.manifest.decision.origin.baked_from
    if wrong and source is not None and source != expected.origin.baked_from:
        wrong.append(
            f"the bundle states that it was baked from bundle {source[:16]}: give the model file that was written beside it"
        )
    return _check("decision", ", ".join(wrong))


def _geometry(bundle: Bundle, original: Original) -> CheckResult:
    got, wanted = bundle.manifest.geometry, original.geometry
    if got != wanted:
        return _check("geometry", f"is {got}; {wanted} in the model file")
    levels = bundle.manifest.levels
    same = levels == original.levels
    wrong = f"has levels {levels}; {original.levels} in the model file"
    return _check("geometry", "" if same else wrong)


def _stages(bundle: Bundle, reference: Reference) -> CheckResult:
    wanted = set().union(*reference.stages.values()) - {"rounded"}
    got = set(bundle.manifest.stages)
    return _check(
        "stages",
        ""
        if got == wanted
        else f"are {sorted(got)}; the detector has {sorted(wanted)}",
    )


def _stated_stages(bundle: Bundle) -> CheckResult:
    """Check that the manifest names the stages that every detector has: a proof compares those that it names."""
    outputs = {output.name for output in bundle.manifest.outputs}
    needed = [s for s in FINAL_STAGES if s in outputs]
    missing = [
        name
        for name in ("preprocessed", *needed)
        if name not in bundle.manifest.stages
    ]
    return _check("stages", f"lack {', '.join(missing)}" if missing else "")


def _has_golden(bundle: Bundle, reference: Reference) -> bool:
    """Whether golden frames are the reference or can be compared; if not for their geometry, its check fails."""
    original = reference.original
    if original is None:
        return reference.source == GOLDEN
    same_geometry = bundle.manifest.geometry == original.geometry
    return original.golden is not None and same_geometry


def _golden(bundle: Bundle, original: Original) -> CheckResult:
    """Compare the stored golden outputs with eager Torch's on this machine.

    The limits are the fp32 tolerances.
    """
    if original.golden is None:
        return _check("golden frames", "were not run")
    eager, stored = original.golden
    comparison = Comparison(
        reference=eager,
        decision=original.decision,
        exported_decision=original.decision,
        tolerance=TOLERANCES["fp32"],
        input=bundle.manifest.input,
        geometry=bundle.manifest.geometry,
    )
    difference = comparison.difference(stored.outputs)
    wrong = list(failures_of_cell(difference, None, comparison.tolerance))
    deviations = deviations_of_stored_stages(comparison, stored)
    for name, deviation in deviations.items():
        allowed = comparison.tolerance.at(name)
        if name != "rounded" and not deviation.error <= allowed:
            wrong.append(
                f"stage {name} off by {deviation.error:.2e} in "
                f"{deviation.picture}; allowed {allowed:.0e}"
            )
    return _check("golden frames", "; ".join(wrong))


def _scale(bundle: Bundle, reference: Reference) -> CheckResult:
    """Check the scale for plausibility: errors are shares of the scale, so a huge scale would hide them."""
    scale, scores = (
        bundle.manifest.decision.scale,
        np.asarray(reference.outputs.score),
    )
    # Extreme frames count as well: a few pictures of one kind may lie much closer together than normal ones do.
    known = scores[np.isfinite(scores)]
    if not known.size:
        return _check(
            "scale", f"no finite score of {reference.source} to compare it with"
        )
    wrong = f"is {scale:g}; all scores lie within {spread(known):g}: give --model to see whether it is right"
    return _check(
        "scale",
        "" if scale <= _LARGEST_SCALE_TO_SPREAD * spread(known) else wrong,
    )
