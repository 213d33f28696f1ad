"""Verify a bundle: choose the reference, run the proof, return the certificate.

Used by the command line, by `anomedge.testing` and by the report. The reference
is eager Torch if a model is given (on the host, with torch installed), else the
golden frames. With pictures and no model, one runtime replaces the original; the
certificate states it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from anomedge import runtimes
from anomedge.bundle import Bundle
from anomedge.errors import BundleError, InputError
from anomedge.files import canonical_json
from anomedge.images import read_folders, with_levels
from anomedge.parity import Certificate, Plan, Reference, prove
from anomedge.parity.golden import read_golden
from anomedge.parity.outputs import collect
from anomedge.parity.pictures import extremes
from anomedge.parity.plan import batches_of
from anomedge.parity.reference import RUNTIMES_ONLY
from anomedge.parity.tolerances import release_tolerance
from anomedge.resample.outside_resize import generated_size

if TYPE_CHECKING:
    from anomedge.pipelines.model import Model

__all__ = ["certify", "load_original", "plan_of", "reference_of"]


def plan_of(
    bundle: Bundle,
    names: Sequence[str] = (),
    batches: Sequence[int] = (),
    precision: str = "fp32",
    device: str | None = None,
    threads: int | None = None,
    widen: float = 1.0,
) -> Plan:
    """Return a checked plan.

    Args:
        bundle: the bundle to prove.
        names: runtimes; all that can run here if empty.
        batches: batch sizes; 1, 2, 3 and 8 if empty.
        precision: a precision of the bundle, or "tf32".
        device: device in the vendor's notation; the runtime's default if None.
        threads: CPU threads; the runtime's default if None.
        widen: factor on this release's tolerances, 1 to 100.

    Raises:
        InputError, RuntimeMissing: an unknown or missing runtime, a batch size
            that the graph does not accept, or `widen` outside [1, 100].
        DeviceMismatch, RuntimeFailure: as `anomedge.runtimes.check_device`.
        BundleError: the bundle lacks the precision.
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
    normal: str | None = None,
) -> tuple[Reference, Plan]:
    """Return the reference, and the plan of the runtimes to compare with it.

    With a model, the reference is eager Torch on the images, or on synthetic
    ones. Without a model, it is the golden frames; or, with images, the first
    runtime of the plan, which then leaves the plan. `normal` is the label of
    normal pictures, where it is not a known one.

    Raises:
        InputError: images without a model and with only one runtime; a model
            of another detector.
    """
    frame = bundle.manifest.framing
    if model is not None:
        return _eager(bundle, plan, model, images, normal), plan
    if not images:
        return read_golden(bundle), plan
    if len(plan.runtimes) < 2:
        raise InputError(
            "got pictures without a model and one runtime; expected --model, or two runtimes to compare"
        )
    first, *others = plan.runtimes
    given = with_levels(read_folders(images, normal), bundle.manifest.levels)
    pictures = [*given, *extremes(generated_size(frame))]
    with plan.open(bundle, first) as session:
        outputs = collect(session, pictures, frame, plan.batches[0])
    source = f"{first}{RUNTIMES_ONLY}"
    return Reference(source, pictures, outputs), replace(plan, runtimes=others)


def certify(
    bundle: Bundle,
    plan: Plan,
    model: Path | None = None,
    images: Sequence[Path] = (),
    *,
    stages: bool = False,
    normal: str | None = None,
) -> Certificate:
    """Prove a bundle; record failures in the certificate, do not raise them.

    Args:
        bundle: the bundle to prove.
        plan: runtimes, batch sizes and precision.
        model: model file to compare with; the golden frames if None.
        images: folders of pictures.
        stages: examine each stage alone; otherwise only after a failure.
        normal: label of normal pictures, where it is not a known one.

    Raises:
        InputError: as `reference_of`.
    """
    reference, left = reference_of(bundle, plan, model, images, normal)
    return prove(bundle, reference, left, stages=stages)


def load_original(bundle: Bundle, path: Path) -> Model:
    """Load the model file that a bundle was exported from; warn if it is another file.

    Raises:
        InputError: a model of another detector, or the float model of a quantised one or the other way round.
        ModelError: not a model file.
    """
    from anomedge.pipelines.model import load

    loaded, manifest = load(path), bundle.manifest
    config = loaded.pipeline.config.model_dump(mode="json")
    # As JSON, because 1 == True == 1.0 in Python.
    same = canonical_json(config) == canonical_json(manifest.config)
    if loaded.pipeline.name != manifest.detector or not same:
        raise InputError(
            f"{path} is another detector than {bundle.path}; expected the model it was exported from"
        )
    _refuse_other_networks(bundle, loaded, path)
    if loaded.geometry == manifest.geometry and loaded.digest != manifest.model:
        warnings.warn(
            f"{path} is not the file that {bundle.path} was exported from",
            stacklevel=2,
        )
    return loaded


def _refuse_other_networks(bundle: Bundle, model: Model, path: Path) -> None:
    """Refuse a float model for the bundle of its quantised networks, and the other way round: all figures would differ.

    Raises:
        InputError: the other one of the two models.
    """
    stated, own = bundle.manifest.quantisation, model.quantisation
    if stated is not None and stated.float_model == model.digest:
        raise InputError(
            f"{path} is the float model that {bundle.path} was quantised from; expected the quantised one, which the export "
            f"wrote beside it: give its .int8.safetensors file"
        )
    if own is not None and own.float_model == bundle.manifest.model:
        raise InputError(
            f"{path} holds quantised networks, and {bundle.path} has those of its float model; expected the float model: "
            f"give the file that was quantised"
        )


def _eager(
    bundle: Bundle,
    plan: Plan,
    model: Path,
    images: Sequence[Path],
    normal: str | None,
) -> Reference:
    from anomedge.export.proof import (
        nothing_compared,
        pictures_of,
        reference_from_model,
    )

    loaded, manifest = load_original(bundle, model), bundle.manifest
    if loaded.geometry != manifest.geometry:
        return nothing_compared(loaded)
    try:
        for runtime in plan.runtimes[:1]:
            plan.open(
                bundle, runtime
            ).close()  # check the manifest's sizes before allocating arrays
    except BundleError:  # the proof raises it again
        return nothing_compared(loaded)
    frame = manifest.framing
    return reference_from_model(
        loaded,
        model,
        pictures_of(images, frame, loaded.levels, normal),
        frame,
        bundle=bundle,
        seed=plan.seed,
    )
