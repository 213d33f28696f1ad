"""One call from a bundle to its certificate: what the command line, a user's own tests and the report all do.

The reference is eager Torch where a model is given (on the host, the only place that imports torch), else the golden
frames, else one runtime that stands in for the original, and says so.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from anomedge import runtimes
from anomedge.bundle import Bundle
from anomedge.errors import BundleError, InputError
from anomedge.images import read_folders
from anomedge.parity import Certificate, Plan, Reference, prove
from anomedge.parity.golden import read_golden
from anomedge.parity.outputs import collect
from anomedge.parity.pictures import extremes
from anomedge.parity.plan import batches_of
from anomedge.parity.tolerances import release_tolerance

__all__ = ["certify", "plan_of", "reference_of"]


def plan_of(
    bundle: Bundle,
    names: Sequence[str] = (),
    batches: Sequence[int] = (),
    precision: str = "fp32",
    device: str | None = None,
    threads: int | None = None,
    widen: float = 1.0,
) -> Plan:
    """The plan of what a user asked for: all runtimes that can run here and the usual batch sizes where nothing was said.

    Raises:
        InputError, RuntimeMissing: an unknown or missing runtime, a batch size that the graph does not take, or a factor
            `widen` outside [1, 100].
        BundleError: a precision that the bundle does not have.
    """
    bundle.variant(runtimes.variant_of(precision))
    found = list(
        dict.fromkeys(
            runtimes.get(name).name for name in names or runtimes.usable()
        )
    )
    release_tolerance(precision, widen)
    runtimes.check_device(found, device)
    plan = Plan(
        found, batches_of(bundle, batches), precision, device, threads, widen
    )
    for runtime in found:
        plan.options(runtime)
    return plan


def reference_of(
    bundle: Bundle,
    plan: Plan,
    model: Path | None = None,
    images: Sequence[Path] = (),
) -> tuple[Reference, Plan]:
    """What to compare with, and the plan of what is left to compare.

    With a model: eager Torch on the images, or on synthetic ones. Without: the golden frames; or, with images, the
    first runtime of the plan stands in for the original.

    Raises:
        InputError: images without a model, and only one runtime; a model of another detector.
    """
    frame = bundle.manifest.input.frame
    if model is not None:
        return _eager(bundle, plan, model, images), plan
    if not images:
        return read_golden(bundle), plan
    if len(plan.runtimes) < 2:
        raise InputError(
            "got pictures without a model and one runtime; expected --model, or two runtimes to compare"
        )
    first, *others = plan.runtimes
    pictures = [*read_folders(images), *extremes(frame)]
    with plan.open(bundle, first) as session:
        outputs = collect(session, pictures, frame, plan.batches[0])
    source = f"{first} (no eager Torch was asked for: runtimes only)"
    return Reference(source, pictures, outputs), replace(plan, runtimes=others)


def certify(
    bundle: Bundle,
    plan: Plan,
    model: Path | None = None,
    images: Sequence[Path] = (),
    *,
    stages: bool = False,
) -> Certificate:
    """Run every proof of the plan; a failed one is in the certificate, not raised. Errors as in `reference_of`.

    With `stages`, each stage is also looked at by itself; without, only where a proof failed.
    """
    reference, left = reference_of(bundle, plan, model, images)
    return prove(bundle, reference, left, stages=stages)


def _eager(
    bundle: Bundle, plan: Plan, model: Path, images: Sequence[Path]
) -> Reference:
    from anomedge.export.proof import (
        nothing_compared,
        pictures_of,
        reference_from_model,
    )
    from anomedge.pipelines.model import load

    loaded, manifest = load(model), bundle.manifest
    if (
        loaded.pipeline.name,
        loaded.pipeline.config.model_dump(mode="json"),
    ) != (manifest.detector, manifest.config):
        raise InputError(
            f"{model} is another detector than {bundle.path}; expected the model it was exported from"
        )
    if loaded.geometry != manifest.geometry:
        return nothing_compared(loaded)
    if loaded.digest != manifest.model:
        warnings.warn(
            f"{model} is not the file that {bundle.path} was exported from",
            stacklevel=2,
        )
    try:
        for runtime in plan.runtimes[:1]:
            plan.open(
                bundle, runtime
            ).close()  # checks the manifest's sizes before memory of those sizes is allocated
    except BundleError:  # the proof meets it again and names it
        return nothing_compared(loaded)
    frame = manifest.input.frame
    return reference_from_model(
        loaded, model, pictures_of(images, frame), frame, bundle=bundle
    )
