"""anomedge import: turn a trained model of anomalib into a model file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anomedge.commands._arguments import parse_size
from anomedge.commands._common_options import NormalLabel
from anomedge.commands._import_result import print_import
from anomedge.errors import InputError
from anomedge.files import check_target

NAME = "import"
EXAMPLE = "anomedge import model.ckpt -o model.safetensors --held-back normals/"

Option = typer.Option


def import_model(
    file: Annotated[
        Path,
        typer.Argument(
            help="File of anomalib: a checkpoint (.ckpt), a torch export (.pt) or an ONNX export (.onnx). Its pickle is "
            "read, never executed."
        ),
    ],
    output: Annotated[
        Path,
        Option("--output", "-o", help="Model file to write (.safetensors)."),
    ],
    detector: Annotated[
        str | None,
        Option(
            help="Detector, such as padim, or with --with-anomalib a model of anomalib, such as EfficientAd; default: found "
            "by the names of the file's tensors."
        ),
    ] = None,
    size: Annotated[
        str | None,
        Option(
            help="HxW in pixels that pictures are resized to, where the file does not state it."
        ),
    ] = None,
    held_back: Annotated[
        Path | None,
        Option(
            help="Folder, data set or list of normal pictures that the model was not fitted to: they give the scale of scores, "
            "and the thresholds if the file has none."
        ),
    ] = None,
    normal: NormalLabel = None,
    threshold: Annotated[
        float | None,
        Option(
            help="Threshold of raw scores, in place of the file's; a score above it is anomalous."
        ),
    ] = None,
    pixel_threshold: Annotated[
        float | None,
        Option(help="Threshold of raw map values, in place of the file's."),
    ] = None,
    rule: Annotated[
        str | None,
        Option(
            help="Place new thresholds on --held-back by this rule, rate or balanced, though the file has some; balanced by "
            "default if it has none."
        ),
    ] = None,
    rate: Annotated[
        float | None,
        Option(
            help="False-alarm rate aimed at on --held-back; selects --rule rate."
        ),
    ] = None,
    max_false_alarms: Annotated[
        float | None,
        Option(
            help="Largest false-alarm rate on --held-back; selects --rule balanced."
        ),
    ] = None,
    with_anomalib: Annotated[
        bool,
        Option(
            "--with-anomalib",
            help="Build the model's class of the installed anomalib (extra `anomalib`), for models that anomedge has no "
            "detector for.",
        ),
    ] = False,
    batch: Annotated[
        int, Option(min=1, help="Pictures per batch of --held-back.")
    ] = 8,
    seed: Annotated[
        int,
        Option(
            min=0,
            max=2**63 - 1,
            help="Seed of the synthetic defects on --held-back.",
        ),
    ] = 0,
    force: Annotated[bool, Option(help="Replace an existing model.")] = False,
    as_json: Annotated[
        bool,
        Option(
            "--json", help="Print the decision and the sources of it as JSON."
        ),
    ] = False,
) -> None:
    """Import a model of anomalib with its preprocessing and thresholds, and say where each value came from.

    The thresholds of the file are moved by 2e-4 of the scale of scores, because a validation picture scores as they are.
    """
    from anomedge.interop.import_file import ImportOptions, import_file
    from anomedge.interop.planning import Chosen
    from anomedge.pipelines import decision, model

    check_target(output, force=force)
    if output.exists() and file.exists() and output.samefile(file):
        raise InputError(
            f"got {output} as the file and as the model; expected another name for the model: give it with --output"
        )
    chosen = Chosen(threshold, pixel_threshold)
    if not (rule is None and rate is None and max_false_alarms is None):
        named = decision.Rule.named(rule, rate, max_false_alarms, None)
        chosen = Chosen(threshold, pixel_threshold, named)
    options = ImportOptions(
        detector=detector,
        size=parse_size(size) if size else None,
        held_back=held_back,
        normal=normal,
        chosen=chosen,
        with_anomalib=with_anomalib,
        batch=batch,
        seed=seed,
    )
    imported = import_file(file, options)
    model.save(imported.model, output, force=force)
    print_import(imported, output, as_json)
