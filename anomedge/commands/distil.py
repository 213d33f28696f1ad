"""anomedge distil: make the teacher of EfficientAD from a backbone and a folder of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anomedge.commands._arguments import parse_size
from anomedge.errors import InputError
from anomedge.files import atomic_file, canonical_json, check_target

EXAMPLE = "anomedge distil imagenet/ -o teacher.safetensors --device cuda"

Option = typer.Option


def distil(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Pictures of many kinds, such as ImageNet's; subfolders are read too."
        ),
    ],
    output: Annotated[
        Path,
        Option(
            "--output",
            "-o",
            help="Teacher to write (.safetensors), for `fit efficient_ad --teacher`.",
        ),
    ],
    model_size: Annotated[
        str, Option(help="Patch description network: small or medium.")
    ] = "small",
    backbone: Annotated[
        str | None,
        Option(help="timm architecture; default: wide_resnet101_2."),
    ] = None,
    layers: Annotated[
        str | None,
        Option(
            help="Layer names with commas, finest first; default: the layers at strides 8 and 16."
        ),
    ] = None,
    weights: Annotated[
        str | None,
        Option(
            help="Weights of the backbone: efficientnet-lite0, a .safetensors or .pth file, or random; default: ImageNet weights."
        ),
    ] = None,
    size: Annotated[
        str,
        Option(
            help="HxW in pixels of the network's pictures; the backbone's are twice as large."
        ),
    ] = "256x256",
    steps: Annotated[int, Option(min=1, help="Steps.")] = 60_000,
    batch: Annotated[int, Option(min=1, help="Pictures per step.")] = 16,
    learning_rate: Annotated[float, Option(help="Learning rate of Adam.")] = (
        1e-4
    ),
    weight_decay: Annotated[float, Option(help="Weight decay of Adam.")] = 1e-5,
    device: Annotated[str, Option(help="cpu, cuda or cuda:1.")] = "cpu",
    seed: Annotated[
        int,
        Option(
            min=0, max=2**63 - 1, help="The same seed gives the same bytes."
        ),
    ] = 0,
    force: Annotated[bool, Option(help="Replace an existing file.")] = False,
    as_json: Annotated[
        bool, Option("--json", help="Print the result as JSON.")
    ] = False,
) -> None:
    """Distil a backbone into a patch description network. The file keeps no state: a stopped distillation starts again."""
    from anomedge.pipelines.training.distilling import DistilOptions, distilled
    from anomedge.pipelines.training.teacher_record import write_teacher

    if output.suffix != ".safetensors":
        raise InputError(
            f"got the output {output}; expected a name that ends in .safetensors: give another --output"
        )
    check_target(output, force=force)
    options = DistilOptions.checked(
        model_size=model_size,
        backbone=backbone,
        layers=layers,
        weights=weights,
        size=parse_size(size),
        steps=steps,
        batch=batch,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        device=device,
        seed=seed,
    )
    record = options.record()
    network, loss = distilled(folder, options)
    with atomic_file(output, force=force) as temporary:
        write_teacher(network.state_dict(), record, temporary)
    if as_json:
        content = {
            "teacher": str(output),
            "model_size": model_size,
            "channels": network.channels,
            "loss": loss,
            "steps": steps,
        }
        typer.echo(canonical_json(content), nl=False)
        return
    typer.echo(
        f"{output}: {model_size} network of {network.channels} channels, loss {loss:.4g} at the end of {steps} steps"
    )
