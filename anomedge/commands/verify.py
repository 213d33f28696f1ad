"""anomedge verify: does a bundle still decide as the original?"""

from __future__ import annotations

import platform
import re
import warnings
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Column, Table
from rich.text import Text

from anomedge.bundle import CERTIFICATES, Bundle
from anomedge.commands._options import Batches, Device, Images, Precision, Runtimes, Threads
from anomedge.commands._shared import show_certificate, wide_console
from anomedge.errors import InputError, OutputError, ProofFailed
from anomedge.files import atomic_file, canonical_json, check_target
from anomedge.parity import Certificate
from anomedge.parity.certificate import merged
from anomedge.parity.junit import junit_xml
from anomedge.parity.prove import failure_text
from anomedge.parity.stored import stored_certificates
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
    stages: Annotated[bool, Option("--stages", help="Look at every stage by itself: which makes an error?")] = False,
    name: Annotated[str | None, Option(help="Name of this device's certificate.")] = None,
    junit: Annotated[Path | None, Option(help="Write the proofs as JUnit XML, for a CI server.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print the certificate as JSON.")] = False,
) -> None:
    """Prove that a bundle decides as eager Torch: on the host with --model, on a device with its golden frames."""
    if model is None and name == "host":
        raise InputError("got --name host without --model; expected another: that certificate is eager Torch's")
    opened = Bundle.open(bundle)
    plan = plan_of(opened, runtime or (), batch or (), precision, device, threads)
    if junit is not None:
        check_target(junit, force=True)
    certificate = certify(opened, plan, model, images or (), stages=stages)
    if junit is not None:
        with atomic_file(junit, force=True) as temporary:
            temporary.write_bytes(junit_xml(certificate))
    if as_json:
        typer.echo(canonical_json(certificate.to_json()), nl=False)
    else:
        show_certificate(certificate)
        _show_stages(certificate)
    path = _certificate_path(opened, "host" if model else name or platform.node() or "device")
    others = _others(opened, path, certificate)
    if not certificate.passed:
        if others is None:
            _forget(path)
        else:
            _keep(path, others)
        raise ProofFailed(failure_text(certificate, "do not use this bundle here"))
    _keep(path, merged([certificate, *([others] if others else [])]))


def _show_stages(certificate: Certificate) -> None:
    """Each stage by itself, where that was looked at."""
    if not certificate.stages:
        return
    table = Table(
        "runtime", Column("stage", no_wrap=True), "makes", "effect", "largest in", "at", "verdict",
        title="each stage by itself, from right values of those before it; error/allowed", title_justify="left",
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0),
    )  # fmt: skip
    for row in certificate.stages:
        pairs = ((row.error, row.allowed), (row.effect, row.effect_allowed))
        shown = ["-" if figure is None else f"{figure:.1e}/{allowed:.0e}" for figure, allowed in pairs]
        verdict = "within" if row.passed else Text("EXCEEDS", "red")
        table.add_row(row.runtime, row.name, *shown, row.picture, row.where, verdict)
    console = wide_console()
    console.print(table)
    for finding in certificate.findings:
        console.print(f"{finding.runtime}: {finding.text}", soft_wrap=True)


def _certificate_path(bundle: Bundle, name: str) -> Path:
    return bundle.path / CERTIFICATES / f"{re.sub(r'[^A-Za-z0-9_-]+', '-', name)[:64]}.json"


def _others(bundle: Bundle, path: Path, certificate: Certificate) -> Certificate | None:
    """What the certificate at this place says of runtimes and precisions that were not proven anew; None where nothing."""
    stored = next((s.certificate for s in stored_certificates(bundle) if s.name == path.name and not s.objection), None)
    same = stored is not None and (stored.reference, stored.threshold) == (certificate.reference, certificate.threshold)
    if stored is None or not same or not stored.passed:
        return None
    others = stored.without(certificate.places)
    return others if others.cells else None


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
