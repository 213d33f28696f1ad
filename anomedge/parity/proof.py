"""Prove a bundle: numbers, decisions, pixels, stages and contract of every runtime."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

from anomedge.bundle import Bundle
from anomedge.errors import InputError
from anomedge.images import held
from anomedge.parity.certificate import Certificate
from anomedge.parity.comparison import Comparison
from anomedge.parity.counting import count_pictures
from anomedge.parity.manifest import OPERATORS, check_manifest
from anomedge.parity.notes import notes_on
from anomedge.parity.plan import Plan
from anomedge.parity.records import CheckResult
from anomedge.parity.reference import GOLDEN, ORIGINALS, Reference
from anomedge.parity.runtime_proof import RuntimeProof, prove_runtime
from anomedge.parity.search import notes_on_search
from anomedge.parity.stored import vouching_certificate
from anomedge.parity.subject import digests_of_frames, subject_of
from anomedge.runtimes import variant_of

__all__ = ["prove"]

_TOOLS = ("anomedge", "numpy", "onnxruntime", "openvino", "torch")


def prove(
    bundle: Bundle, reference: Reference, plan: Plan, *, stages: bool = False
) -> Certificate:
    """Run every comparison and check of the plan; record failures, do not raise.

    Tolerances come from this release and, if the model file is given, the
    decision comes from that file, so a bundle cannot relax its own proof. A
    manifest that differs fails the proof.

    Args:
        bundle: the bundle to prove.
        reference: outputs of the original.
        plan: runtimes, batch sizes and precision.
        stages: examine each stage alone even if nothing failed.

    Raises:
        InputError: no runtime, no batch size, no picture, or `stages` is set
            and the reference has none; an empty comparison must not pass.
        BundleError: the bundle has no graphs of the plan's precision.
    """
    bundle.variant(variant_of(plan.precision))
    _check_request(reference, plan, stages=stages)
    reference = replace(reference, pictures=held(reference.pictures))
    comparison = Comparison.of(bundle, reference, plan)
    checks = check_manifest(bundle, reference, plan)
    proofs: list[RuntimeProof] = []
    if _can_compare(bundle, reference, checks):
        proofs = [
            prove_runtime(bundle, comparison, plan, runtime, stages=stages)
            for runtime in plan.runtimes
        ]
    return _certificate(bundle, comparison, plan, checks, proofs)


def _check_request(reference: Reference, plan: Plan, *, stages: bool) -> None:
    if not plan.runtimes or not plan.batches:
        raise InputError(
            "got no runtime or no batch size; expected at least one of each: "
            "nothing would be compared"
        )
    if stages and not reference.stages:
        raise InputError(
            f"{reference.source} has no stages; expected golden frames or a "
            f"model: leave out --images, or give --model"
        )


def _can_compare(
    bundle: Bundle, reference: Reference, checks: Sequence[CheckResult]
) -> bool:
    """Whether the graphs' operators are allowed and the maps have one grid."""
    for check in checks:
        if check.name == OPERATORS and not check.passed:
            return False
    original = reference.original
    return original is None or original.geometry == bundle.manifest.geometry


def _certificate(
    bundle: Bundle,
    comparison: Comparison,
    plan: Plan,
    manifest_checks: Sequence[CheckResult],
    proofs: Sequence[RuntimeProof],
) -> Certificate:
    """Assemble the certificate from the proofs of all runtimes."""
    reference = comparison.reference
    # Without cells, no graph has confirmed the manifest's frame size, which may
    # be huge: do not stretch pictures to it.
    frames = digests_of_frames(reference, comparison.frame if proofs else None)
    own = [check for proof in proofs for check in proof.checks]
    of_layouts = [check for proof in proofs for check in proof.layout_checks]
    checks = [*manifest_checks, *own, *of_layouts]
    about = subject_of(bundle, comparison, plan, frames)
    return Certificate(
        bundle=bundle.manifest.digest,
        about=about,
        reference=reference.source,
        machine=_machine(),
        tools=_versions(),
        scale=comparison.decision.scale,
        threshold=comparison.decision.threshold,
        local_thresholds=bundle.local is not None,
        widened=plan.widen,
        notes=_notes(bundle, plan, about.model, proofs),
        vouched_by=vouching_certificate(bundle)
        if reference.source == GOLDEN
        else "",
        tolerances={plan.precision: comparison.tolerance},
        pictures=count_pictures(
            comparison, frames, _count_masks(comparison, proofs)
        ),
        stage_names=bundle.manifest.stages
        if reference.source in ORIGINALS
        else (),
        cells=tuple(cell for proof in proofs for cell in proof.cells),
        checks=tuple(
            check.model_copy(update={"precision": plan.precision})
            for check in checks
        ),
        stages=tuple(row for proof in proofs for row in proof.stages),
        findings=tuple(
            proof.diagnosis for proof in proofs if proof.diagnosis is not None
        ),
    )


def _notes(
    bundle: Bundle,
    plan: Plan,
    model: str | None,
    proofs: Sequence[RuntimeProof],
) -> tuple[str, ...]:
    """Return the cautions on the bundle, on this machine, and of the proofs."""
    places = {(runtime, plan.precision) for runtime in plan.runtimes}
    return (
        *notes_on(bundle.manifest, places, model),
        *notes_on_search(bundle.manifest.search),
        *(note for proof in proofs for note in proof.notes),
    )


def _count_masks(comparison: Comparison, proofs: Sequence[RuntimeProof]) -> int:
    """Count the pictures with a mask; 0 if no session could be opened."""
    if not any(proof.cells for proof in proofs):
        return 0
    masks = comparison.ground_truth.masks
    return sum(mask is not None for mask in masks)


def _machine() -> dict[str, str]:
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


def _versions() -> dict[str, str]:
    """Return the versions of the installed tools that affect a proof."""
    found = {}
    for name in _TOOLS:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
