"""anomedge verify: does a bundle still decide as the original?"""

from __future__ import annotations

import platform
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from anomedge import runtimes
from anomedge.bundle import CERTIFICATES, Bundle
from anomedge.commands._shared import show_certificate
from anomedge.errors import InputError, OutputError, ProofFailed
from anomedge.files import atomic_file, canonical_json
from anomedge.images import read_folders
from anomedge.parity import Certificate, Plan, Reference, prove
from anomedge.parity.compare import collect
from anomedge.parity.golden import read_golden
from anomedge.parity.pictures import extremes
from anomedge.parity.prove import batches_of, failure_text

EXAMPLE = "anomedge verify part.anomedge --model model.safetensors --images test/"

Option = typer.Option


def verify(
    bundle: Annotated[Path, typer.Argument(help="Bundle to prove.")],
    model: Annotated[Path | None, Option(help="Compare with eager Torch on this model, on the host.")] = None,
    images: Annotated[
        list[Path] | None, Option(help="Pictures to prove on. Without --model, runtimes are compared with one another.")
    ] = None,
    runtime: Annotated[list[str] | None, Option(help="To prove; all installed when not given.")] = None,
    batch: Annotated[list[int] | None, Option(min=1, help="Batch sizes; 1, 2, 3 and 8 when not given.")] = None,
    device: Annotated[str, Option(help="cpu, gpu, ... in the vendor's words.")] = "cpu",
    precision: Annotated[str, Option(help="Variant of the bundle.")] = "fp32",
    threads: Annotated[int | None, Option(min=1, help="CPU threads.")] = None,
    name: Annotated[str | None, Option(help="Name of this device's certificate.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print the certificate as JSON.")] = False,
) -> None:
    """Prove that a bundle decides as eager Torch: on the host with --model, on a device with its golden frames."""
    opened = Bundle.open(bundle)
    opened.variant(precision)
    names = list(dict.fromkeys(runtimes.get(each).name for each in runtime or runtimes.installed()))
    plan = Plan(names, batches_of(opened, batch or ()), precision, device, threads)
    reference, names_left = _reference(opened, model, images or [], plan)
    plan = Plan(names_left, plan.batches, precision, device, threads)
    certificate = prove(opened, reference, plan)
    if as_json:
        typer.echo(canonical_json(certificate.to_json()), nl=False)
    else:
        show_certificate(certificate)
    path = _certificate_path(opened, "host" if model else name or platform.node() or "device")
    if not certificate.passed:
        _forget(path)
        raise ProofFailed(failure_text(certificate, "do not use this bundle here"))
    _keep(path, certificate)


def _reference(
    bundle: Bundle, model: Path | None, images: Sequence[Path], plan: Plan
) -> tuple[Reference, Sequence[str]]:
    """What to compare with, and which runtimes are left to compare."""
    frame = bundle.manifest.input.frame
    if model is not None:
        from anomedge.export.proof import pictures_of, reference_from_model
        from anomedge.pipelines.model import load

        pictures = pictures_of(images, frame)
        return reference_from_model(load(model), model, pictures, frame, decision=bundle.decision), plan.runtimes
    if not images:
        return read_golden(bundle), plan.runtimes
    if len(plan.runtimes) < 2:
        raise InputError("got pictures without --model and one runtime; expected --model, or two runtimes to compare")
    first, *others = plan.runtimes
    pictures = [*read_folders(images), *extremes(frame)]
    with plan.open(bundle, first) as session:
        outputs = collect(session, pictures, frame, plan.batches[0])
    return Reference(f"{first} (no eager Torch was asked for: runtimes only)", pictures, outputs), others


def _certificate_path(bundle: Bundle, name: str) -> Path:
    return bundle.path / CERTIFICATES / f"{re.sub(r'[^A-Za-z0-9_-]+', '-', name)[:64]}.json"


def _keep(path: Path, certificate: Certificate) -> None:
    """Add the certificate to the bundle, where the bundle can be written to."""
    try:
        path.parent.mkdir(exist_ok=True)
        with atomic_file(path, force=True) as temporary:
            temporary.write_bytes(canonical_json(certificate.to_json()))
    except (OSError, OutputError) as error:
        warnings.warn(f"the certificate could not be kept in {path.parent} ({error})", stacklevel=1)


def _forget(path: Path) -> None:
    """An earlier certificate of this place is no longer true."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        warnings.warn(
            f"the earlier certificate {path} is no longer true but could not be removed ({error})", stacklevel=1
        )
