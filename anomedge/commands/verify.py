"""anomedge verify: prove that a bundle decides as the original."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Column, Table
from rich.text import Text

from anomedge.bundle import Bundle, require_outside
from anomedge.commands._certificate_tables import show_certificate
from anomedge.commands._common_options import (
    Batches,
    Device,
    Images,
    Local,
    NormalLabel,
    Precision,
    Runtimes,
    Threads,
    Widen,
    chosen_precision,
)
from anomedge.commands._console import SafeConsole, wide_console
from anomedge.commands._threshold_lines import threshold_lines
from anomedge.errors import InputError, OutputError, ProofFailed
from anomedge.files import (
    atomic_file,
    canonical_json,
    check_target,
    remove_file,
)
from anomedge.parity.certificate import Certificate, failure_text
from anomedge.parity.junit import is_own_junit, junit_xml
from anomedge.parity.keeping import keep_certificate, plain_name
from anomedge.parity.stored import HOST
from anomedge.verification import certify, plan_of

EXAMPLE = (
    "anomedge verify part.anomedge --model model.safetensors --images test/"
)

Option = typer.Option


def verify(
    bundle: Annotated[Path, typer.Argument(help="Bundle to prove.")],
    model: Annotated[
        Path | None,
        Option(help="Compare with eager Torch on this model, on the host."),
    ] = None,
    float_model: Annotated[
        Path | None,
        Option(
            help="int8: the float model; its labels of the pictures are compared with the quantised detector's."
        ),
    ] = None,
    images: Images = None,
    normal: NormalLabel = None,
    runtime: Runtimes = None,
    batch: Batches = None,
    device: Device = None,
    precision: Precision = None,
    threads: Threads = None,
    stages: Annotated[
        bool,
        Option(
            "--stages",
            help="Examine every stage alone and name the first faulty one.",
        ),
    ] = False,
    widen: Widen = 1.0,
    name: Annotated[
        str | None, Option(help="Name of this device's certificate.")
    ] = None,
    junit: Annotated[
        Path | None,
        Option(help="Write the results as JUnit XML, for a CI server."),
    ] = None,
    local: Local = None,
    as_json: Annotated[
        bool, Option("--json", help="Print the certificate as JSON.")
    ] = False,
) -> None:
    """Prove that a bundle decides as eager Torch: on the host with --model, on a device with its golden frames."""
    _remove_earlier(junit)
    device_name = plain_name(name or platform.node() or "device")
    if model is None and name is not None and device_name.lower() == HOST:
        raise InputError(
            "got --name host without --model; expected another: that certificate is eager Torch's"
        )
    opened = Bundle.open(bundle, local)
    require_outside(opened, junit)
    _check_float_model(float_model, model, images or ())
    plan = plan_of(
        opened,
        runtime or (),
        batch or (),
        chosen_precision(opened, precision),
        device,
        threads,
        widen,
    )
    if junit is not None:
        check_target(junit, force=True)
    certificate = certify(
        opened, plan, model, images or (), stages=stages, normal=normal
    )
    _write_junit(junit, certificate)
    if device_name.lower() == HOST:
        device_name = "device"  # the machine's own name is "host"
    _keep(opened, HOST if model else device_name, certificate)
    try:
        _show(opened, certificate, as_json)
        if float_model is not None and model is not None:
            _show_flips(opened, model, float_model, images or (), normal)
    finally:  # set the exit code even if printing fails
        if not certificate.passed:
            raise ProofFailed(
                failure_text(certificate, "do not use this bundle here")
            )


def _check_float_model(
    float_model: Path | None, model: Path | None, images: Sequence[Path]
) -> None:
    """Refuse a wrong float model before the proof, which takes long, runs and is stored."""
    if float_model is None:
        return
    if model is None or not images:
        raise InputError(
            "got --float-model without --model or --images; expected both: the quantised model file, and pictures"
        )
    from anomedge.export.float_labels import loaded_pair

    loaded_pair(model, float_model)


def _remove_earlier(junit: Path | None) -> None:
    """Remove an earlier file of ours: refused arguments must not leave its verdict behind."""
    if junit is not None and is_own_junit(junit):
        remove_file(junit)


def _write_junit(junit: Path | None, certificate: Certificate) -> None:
    if junit is not None:
        with atomic_file(junit, force=True) as temporary:
            temporary.write_bytes(junit_xml(certificate))


def _show(bundle: Bundle, certificate: Certificate, as_json: bool) -> None:
    """Print the certificate to standard output."""
    if as_json:
        typer.echo(canonical_json(certificate.to_json()), nl=False)
        return
    show_certificate(certificate)
    _show_stages(certificate)
    _show_local(bundle)


def _show_flips(
    bundle: Bundle,
    model: Path,
    float_model: Path,
    images: Sequence[Path],
    normal: str | None,
) -> None:
    """Print how many labels differ between the float detector and the quantised one, on standard error."""
    from anomedge.export.float_labels import compared_labels

    found = compared_labels(bundle, model, float_model, images, normal)
    SafeConsole(stderr=True).print(found.in_words, soft_wrap=True)


def _show_local(bundle: Bundle) -> None:
    """Print the local thresholds, which override the model file's."""
    if bundle.local is not None:
        console = wide_console()
        for line in threshold_lines(bundle, bundle.local):
            console.print(line, soft_wrap=True)


def _show_stages(certificate: Certificate) -> None:
    """Print the own error of each stage, if stages were examined."""
    if not certificate.stages:
        return
    table = Table(
        "runtime", Column("stage", no_wrap=True), "makes", "effect", "largest in", "at", "verdict",
        title="each stage by itself, from right values of those before it; error/allowed", title_justify="left",
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0),
    )  # fmt: skip
    for row in certificate.stages:
        pairs = ((row.error, row.allowed), (row.effect, row.effect_allowed))
        shown = [
            "-" if figure is None else f"{figure:.1e}/{allowed:.0e}"
            for figure, allowed in pairs
        ]
        verdict = "within" if row.passed else Text("EXCEEDS", "red")
        table.add_row(
            row.runtime, row.name, *shown, row.picture, row.where, verdict
        )
    console = wide_console()
    console.print(table)
    for finding in certificate.findings:
        console.print(f"{finding.runtime}: {finding.text}", soft_wrap=True)


def _keep(bundle: Bundle, name: str, certificate: Certificate) -> None:
    """Store a certificate that passed, and say which earlier ones change; warn if the bundle cannot be written."""
    try:
        for line in keep_certificate(bundle, name, certificate):
            SafeConsole(stderr=True).print(f"certificates: {line}")
    except (OSError, OutputError) as error:
        warnings.warn(
            f"the certificate could not be kept in {bundle.path} ({error}); earlier ones of this name may be outdated",
            stacklevel=1,
        )
