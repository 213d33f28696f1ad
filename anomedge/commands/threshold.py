"""anomedge threshold: show, set or recalibrate the thresholds of a bundle on this device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from anomedge.bundle import Bundle, LocalSettings, remove_local, write_local
from anomedge.commands._certificate_tables import show_certificate
from anomedge.commands._chosen_runtime import print_choice
from anomedge.commands._common_options import (
    Device,
    Local,
    Precision,
    Runtime,
    Threads,
    chosen_precision,
)
from anomedge.commands._console import SafeConsole
from anomedge.commands._counts import counts_in_words, unlabelled_in_words
from anomedge.commands._threshold_lines import (
    local_fields,
    planned_lines,
    threshold_lines,
)
from anomedge.errors import InputError
from anomedge.files import canonical_json
from anomedge.images import select_normal
from anomedge.inspector import Inspector
from anomedge.station.calibration import override_thresholds, recalibrate

EXAMPLE = "anomedge threshold part.anomedge --normal normals/ --rate 0.01"

Option = typer.Option


def threshold(
    bundle: Annotated[Path, typer.Argument(help="Bundle.")],
    normal: Annotated[
        Path | None,
        Option(
            help="Recalibrate from the normal pictures of this folder or list."
        ),
    ] = None,
    normal_label: Annotated[
        str | None,
        Option(
            help="Label of the normal pictures, with --normal, where it is not a known one."
        ),
    ] = None,
    rate: Annotated[
        float | None,
        Option(help="Target false-alarm rate, with --normal; 0.01 by default."),
    ] = None,
    value: Annotated[
        float | None, Option("--set", help="Set the threshold of the score.")
    ] = None,
    pixel: Annotated[
        float | None,
        Option("--set-pixel", help="Set the threshold of the anomaly map."),
    ] = None,
    reset: Annotated[
        bool, Option("--reset", help="Restore the thresholds of the manifest.")
    ] = False,
    bake: Annotated[
        bool,
        Option(
            "--bake",
            help="Write a bundle with this device's thresholds as its own, and its model file; with --model and -o.",
        ),
    ] = False,
    model: Annotated[
        Path | None,
        Option(help="With --bake: the model file of the bundle (needs torch)."),
    ] = None,
    output: Annotated[
        Path | None,
        Option(
            "--output",
            "-o",
            help="With --bake: bundle to write; its model file is written beside it.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        Option(
            "--dry-run", help="Show the new thresholds without writing them."
        ),
    ] = False,
    runtime: Runtime = None,
    device: Device = None,
    precision: Precision = None,
    threads: Threads = None,
    local: Local = None,
    as_json: Annotated[
        bool, Option("--json", help="Print the thresholds as JSON.")
    ] = False,
) -> None:
    """Show a bundle's thresholds, set them, or recalibrate them on normal pictures; changes are stored in local.json."""
    by_hand = value is not None or pixel is not None
    _check_together((normal is not None) + by_hand + reset + bake)
    _check_with_normal(normal, {"--rate": rate, "--normal-label": normal_label})
    _check_with_bake(bake, {"--model": model, "-o": output})
    if bake:
        given = (dry_run or None, device, precision, threads)
        _check_not_with_bake(dict(zip(_NOT_WITH_BAKE, given, strict=True)))
    opened = Bundle.open(bundle, local)
    if model is not None and output is not None:
        _bake(opened, model, output, runtime, as_json)
        return
    settings: LocalSettings | None = None
    if normal is not None:
        paths = _normal_paths(normal, normal_label)
        with Inspector.open(
            opened,
            runtime,
            device,
            precision=chosen_precision(opened, precision),
            threads=threads,
        ) as inspector:
            print_choice(inspector.session)
            settings = recalibrate(
                inspector, paths, str(normal), 0.01 if rate is None else rate
            )
    elif by_hand:
        settings = override_thresholds(opened, value, pixel)
    elif not reset:
        settings = opened.local
    if not dry_run and reset:
        remove_local(opened)
    elif (
        not dry_run and (by_hand or normal is not None) and settings is not None
    ):
        write_local(opened, settings)
    planned = dry_run and (reset or by_hand or normal is not None)
    _print(opened, settings, as_json, planned)


def _check_together(actions: int) -> None:
    if actions > 1:
        raise InputError(
            "got more than one of --normal, --set, --reset and --bake; expected one of them at a time"
        )


def _check_with_normal(
    normal: Path | None, given: Mapping[str, object]
) -> None:
    for name, value in given.items():
        if value is not None and normal is None:
            raise InputError(
                f"got {name} without --normal; expected the folder of normal pictures to calibrate on"
            )


def _check_with_bake(bake: bool, given: Mapping[str, object]) -> None:
    for name, value in given.items():
        if bake and value is None:
            raise InputError(
                f"got --bake without {name}; expected --model MODEL -o BUNDLE: the new bundle gets a model file of its own"
            )
        if value is not None and not bake:
            raise InputError(
                f"got {name} without --bake; expected both, to write a bundle with this device's thresholds"
            )


_NOT_WITH_BAKE = ("--dry-run", "--device", "--precision", "--threads")


def _check_not_with_bake(given: Mapping[str, object]) -> None:
    """Refuse options that baking does not follow: it writes, and proves each precision as the export does."""
    for name, value in given.items():
        if value is not None:
            raise InputError(
                f"got {name} with --bake; expected --model, -o, --runtime and --local only: baking writes and proves a whole bundle"
            )


def _bake(
    bundle: Bundle,
    model: Path,
    output: Path,
    runtime: str | None,
    as_json: bool,
) -> None:
    from anomedge.export.baking import bake, baked_path

    names = () if runtime is None else (runtime,)
    certificate = bake(bundle, model, output, runtimes=names)
    if as_json:
        typer.echo(canonical_json(certificate.to_json()), nl=False)
        return
    show_certificate(certificate)
    written = Bundle.open(output)
    console = SafeConsole()
    for line in threshold_lines(written, written.local):
        console.print(line)
    console.print(
        f"{output}: {written.manifest.digest[:16]}, for verify --model {baked_path(output)}",
        soft_wrap=True,
    )


def _normal_paths(folder: Path, label: str | None) -> list[Path]:
    """Return the normal pictures of a folder; print the numbers of the files that are left out."""
    selection = select_normal(folder, label, "test")
    if selection.left_out:
        SafeConsole(stderr=True).print(
            f"left out: {counts_in_words(selection.left_out)}"
        )
    if selection.unlabelled:
        SafeConsole(stderr=True).print(
            unlabelled_in_words(selection.unlabelled)
        )
    return [p.path for p in selection.pictures if p.path is not None]


def _print(
    bundle: Bundle, local: LocalSettings | None, as_json: bool, planned: bool
) -> None:
    """Print the thresholds; planned ones were not written."""
    manifest = bundle.manifest.decision
    decision = local.applied_to(manifest) if local else manifest
    if as_json:
        content = {
            "threshold": decision.threshold,
            "pixel_threshold": decision.pixel_threshold,
            "manifest": manifest.model_dump(mode="json"),
            **local_fields(bundle, local),
            "written": not planned,
        }
        typer.echo(canonical_json(content), nl=False)
        return
    console = SafeConsole()
    lines = planned_lines if planned else threshold_lines
    for line in lines(bundle, local):
        console.print(line)
