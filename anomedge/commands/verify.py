"""anomedge verify: does a bundle still decide as the original?"""

from __future__ import annotations

import platform
import re
import warnings
from pathlib import Path
from typing import Annotated

import typer

from anomedge.bundle import CERTIFICATES, Bundle
from anomedge.commands._options import Batches, Device, Images, Precision, Runtimes, Threads
from anomedge.commands._shared import show_certificate
from anomedge.errors import OutputError, ProofFailed
from anomedge.files import atomic_file, canonical_json, check_target
from anomedge.parity import Certificate
from anomedge.parity.junit import junit_xml
from anomedge.parity.prove import failure_text
from anomedge.proving import certify, plan_of

EXAMPLE = "anomedge verify part.anomedge --model model.safetensors --images test/"

Option = typer.Option


def verify(
    bundle: Annotated[Path, typer.Argument(help="Bundle to prove.")],
    model: Annotated[Path | None, Option(help="Compare with eager Torch on this model, on the host.")] = None,
    images: Images = None,
    runtime: Runtimes = None,
    batch: Batches = None,
    device: Device = "cpu",
    precision: Precision = "fp32",
    threads: Threads = None,
    name: Annotated[str | None, Option(help="Name of this device's certificate.")] = None,
    junit: Annotated[Path | None, Option(help="Write the proofs as JUnit XML, for a CI server.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print the certificate as JSON.")] = False,
) -> None:
    """Prove that a bundle decides as eager Torch: on the host with --model, on a device with its golden frames."""
    opened = Bundle.open(bundle)
    plan = plan_of(opened, runtime or (), batch or (), precision, device, threads)
    if junit is not None:
        check_target(junit, force=True)
    certificate = certify(opened, plan, model, images or ())
    if junit is not None:
        with atomic_file(junit, force=True) as temporary:
            temporary.write_bytes(junit_xml(certificate))
    if as_json:
        typer.echo(canonical_json(certificate.to_json()), nl=False)
    else:
        show_certificate(certificate)
    path = _certificate_path(opened, "host" if model else name or platform.node() or "device")
    if not certificate.passed:
        _forget(path)
        raise ProofFailed(failure_text(certificate, "do not use this bundle here"))
    _keep(path, certificate)


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
