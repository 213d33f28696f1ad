"""anomedge evaluate: measure how well a detector decides on labelled pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from anomedge.bundle import Bundle, require_outside
from anomedge.commands._chosen_runtime import print_choice
from anomedge.commands._common_options import (
    ComparedRuntimes,
    Device,
    NormalLabel,
    Precision,
    Threads,
    chosen_precision,
)
from anomedge.commands._console import SafeConsole
from anomedge.commands._evaluation_files import EvaluationFiles, MapFormat
from anomedge.commands._evaluation_tables import show_evaluation
from anomedge.commands._maps import require_map
from anomedge.commands._output_folders import output_folders
from anomedge.commands._threshold_lines import local_note
from anomedge.errors import InputError
from anomedge.evaluation import EvaluationRun, Options
from anomedge.evaluation.detectors import bundle_or_model
from anomedge.files import canonical_json, check_target
from anomedge.threshold import Decision

EXAMPLE = "anomedge evaluate part.anomedge dataset/ --model model.safetensors --runtime ort openvino"


def evaluate(
    subject: Annotated[
        Path,
        typer.Argument(
            help="A bundle; or a model file, which runs in eager Torch."
        ),
    ],
    dataset: Annotated[
        Path,
        typer.Argument(
            help="Folder or list of labelled pictures; see the page on data sets."
        ),
    ],
    model: Annotated[
        Path | None,
        Option(
            help="Model file of the bundle: show eager Torch's figures, and the changes, on the host."
        ),
    ] = None,
    normal: NormalLabel = None,
    runtime: ComparedRuntimes = None,
    batch: Annotated[int, Option(min=1, help="Batch size.")] = 1,
    device: Device = None,
    precision: Precision = None,
    threads: Threads = None,
    scores: Annotated[
        Path | None,
        Option(
            "--csv",
            help="File for name, label, kind, score and decision of each picture; an earlier one is replaced.",
        ),
    ] = None,
    maps: Annotated[
        Path | None,
        Option(
            help="Folder for the raw maps, float32, one folder for each runtime."
        ),
    ] = None,
    map_format: Annotated[
        MapFormat, Option(help="Format of the raw maps: npy or tiff.")
    ] = MapFormat.npy,
    overlays: Annotated[
        Path | None,
        Option(
            help="New or empty folder for heat maps over misses and false alarms; masks are outlined in green."
        ),
    ] = None,
    seed: Annotated[
        int, Option(min=0, help="Seed of the bootstrap intervals.")
    ] = 0,
    as_json: Annotated[
        bool, Option("--json", help="Print the figures as JSON.")
    ] = False,
) -> None:
    """Measure AUROC, F1, AUPRO, false-alarm rate and recall on labelled pictures, with counts and intervals."""
    opened = bundle_or_model(subject)
    if isinstance(opened, Bundle) and opened.local is not None:
        note = local_note(opened, opened.local)
        SafeConsole(stderr=True).print(note)
    if isinstance(opened, Bundle):
        require_outside(opened, scores, maps, overlays)
        _require_map(opened.decision, maps, overlays)
        precision = chosen_precision(opened, precision)
    _require_empty(overlays)
    if scores is not None:
        check_target(scores, force=True)
    options = Options(
        model,
        tuple(runtime or ()),
        precision or "fp32",
        device,
        threads,
        batch,
        seed,
        normal=normal,
    )
    with (
        output_folders([dataset], (maps, overlays)),
        EvaluationRun.open(opened, dataset, options) as run,
    ):
        for detector in run.subject.detectors:
            print_choice(detector)
        _require_map(run.subject.decision, maps, overlays)
        output = EvaluationFiles(run, scores, maps, map_format, overlays)
        try:
            for judged in run.judged():
                output.add(judged)
        finally:
            output.close()
        result = run.result()
    if as_json:
        typer.echo(canonical_json(result.to_json()), nl=False)
    else:
        show_evaluation(result)
    output.report_faults()


def _require_map(
    decision: Decision, maps: Path | None, overlays: Path | None
) -> None:
    """Refuse outputs that need an anomaly map of a detector that gives none."""
    for option, folder in {"--maps": maps, "--overlays": overlays}.items():
        if folder is not None:
            require_map(decision, option)


def _require_empty(folder: Path | None) -> None:
    """Refuse a folder with files: overlays of an earlier run would look like wrong decisions of this one."""
    if folder is not None and folder.is_dir() and any(folder.iterdir()):
        raise InputError(
            f"got {folder}, which holds files; expected a new or empty folder for overlays: remove it, or give another"
        )
