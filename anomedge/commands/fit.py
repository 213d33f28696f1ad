"""anomedge fit: normal pictures in, a model out."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated

import typer

from anomedge.commands._arguments import parse_size
from anomedge.commands._console import SafeConsole
from anomedge.errors import InputError
from anomedge.files import canonical_json, check_target
from anomedge.resample import Geometry

EXAMPLE = "anomedge fit patchcore normals/ -o model.safetensors --backbone wide_resnet50_2 --size 256x256"

Option = typer.Option


def fit(
    detector: Annotated[str, typer.Argument(help="padim or patchcore")],
    folder: Annotated[
        Path, typer.Argument(help="Folder of normal pictures, of any sizes.")
    ],
    output: Annotated[
        Path,
        Option("--output", "-o", help="Model file to write (.safetensors)."),
    ],
    size: Annotated[
        str,
        Option(
            help="HxW that every picture is stretched to, whatever its aspect ratio."
        ),
    ] = "256x256",
    crop: Annotated[
        str | None, Option(help="HxW of the middle that is kept.")
    ] = None,
    backbone: Annotated[
        str | None,
        Option(help="A timm architecture; the detector's own when not given."),
    ] = None,
    layers: Annotated[
        str | None,
        Option(
            help="Names with commas, finest first; by stride when not given."
        ),
    ] = None,
    weights: Annotated[
        str | None,
        Option(
            help="efficientnet-lite0, a .safetensors or .pth file, or random; ImageNet's when not given."
        ),
    ] = None,
    held_back: Annotated[
        Path | None,
        Option(
            help="Normal pictures for the threshold, apart from the fitted ones."
        ),
    ] = None,
    holdout: Annotated[
        float,
        Option(help="Share held back for the threshold, without --held-back."),
    ] = 0.2,
    labelled: Annotated[
        Path | None,
        Option(help="`good` and other folders: F1-optimal threshold instead."),
    ] = None,
    rate: Annotated[
        float, Option(help="False-alarm rate on held-back normal pictures.")
    ] = 0.01,
    features: Annotated[
        int | None, Option(help="PaDiM: channels to keep.")
    ] = None,
    coreset: Annotated[
        float | None,
        Option(help="PatchCore: share of the patches to keep (0.1)."),
    ] = None,
    neighbors: Annotated[
        int | None,
        Option(help="PatchCore: neighbours of the re-weighting (9)."),
    ] = None,
    seed: Annotated[
        int,
        Option(
            min=0,
            max=2**63 - 1,
            help="The same seed (and number of threads) gives the same bytes.",
        ),
    ] = 0,
    batch: Annotated[int, Option(min=1, help="Pictures at once.")] = 8,
    force: Annotated[bool, Option(help="Replace an existing model.")] = False,
    as_json: Annotated[
        bool, Option("--json", help="Print the decision as JSON.")
    ] = False,
) -> None:
    """Fit a detector to normal pictures and place its threshold."""
    from anomedge.pipelines import fitting, model

    check_target(output, force=force)
    own = {
        "n_features": features,
        "coreset_ratio": coreset,
        "num_neighbors": neighbors,
    }
    options = fitting.FitOptions(
        geometry=Geometry(parse_size(size), parse_size(crop) if crop else None),
        backbone=backbone,
        layers=[name.strip() for name in layers.split(",")] if layers else None,
        weights=weights,
        held_back=held_back,
        holdout=holdout,
        labelled=labelled,
        rate=rate,
        seed=seed,
        batch=batch,
        detector=_own_options(detector, own),
    )
    fitted = fitting.fit(detector, folder, options)
    model.save(fitted, output, force=force)
    if as_json:
        typer.echo(
            canonical_json(fitted.decision.model_dump(mode="json")), nl=False
        )
        return
    decision, origin = fitted.decision, fitted.decision.origin
    SafeConsole().print(
        f"{output}: {detector} on {fitted.pipeline.config.backbone}, layers {', '.join(fitted.pipeline.config.layers)}; "
        f"threshold {decision.threshold:.6g} by {origin.rule} from {origin.normal + origin.anomalous} pictures "
        f"({origin.source}), scale {decision.scale:.6g}"
    )


def _own_options(
    detector: str, options: dict[str, float | None]
) -> dict[str, float]:
    """The detector's own options that were given; one that it does not take is refused, not ignored."""
    from anomedge import pipelines

    given = {
        name: value for name, value in options.items() if value is not None
    }
    takes = inspect.signature(pipelines.get(detector).fit).parameters
    if foreign := sorted(given.keys() - takes.keys()):
        raise InputError(
            f"got {', '.join(foreign)} for {detector}; it has no such option: leave it out"
        )
    return given
