"""anomedge predict: pictures in, verdicts and heat maps out."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image
from rich.console import Console

from anomedge.errors import InputError
from anomedge.files import atomic_file, canonical_json
from anomedge.images import list_pictures
from anomedge.inspector import Inspector, Result
from anomedge.overlay import overlay
from anomedge.progress import track

EXAMPLE = "anomedge predict part.anomedge images/ -o out/"

Option = typer.Option


def predict(
    bundle: Annotated[Path, typer.Argument(help="Bundle to inspect with.")],
    pictures: Annotated[Path, typer.Argument(help="A picture, or a folder of them, of the bundle's frame size.")],
    output: Annotated[Path | None, Option("--output", "-o", help="Folder for results.csv and overlays.")] = None,
    runtime: Annotated[str | None, Option(help="The first installed one when not given.")] = None,
    device: Annotated[str, Option(help="cpu, gpu, ... in the vendor's words.")] = "cpu",
    threads: Annotated[int | None, Option(min=1, help="CPU threads.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Inspect pictures one by one: score, label, time, and a heat map over each."""
    paths = list_pictures(pictures) if pictures.is_dir() else [pictures]
    root = pictures if pictures.is_dir() else pictures.parent
    if output is not None:
        if output.resolve().is_relative_to(root.resolve()) and pictures.is_dir():
            raise InputError(f"got {output} inside {pictures}; expected another folder: the next run would inspect it")
        output.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    failed: list[str] = []
    with Inspector.open(bundle, runtime=runtime, device=device, threads=threads) as inspector:
        for path in track(paths, "inspecting"):
            try:
                (result,) = inspector.predict_batch([path])
            except InputError as error:
                failed.append(str(error))
                continue
            rows.append(_row(path.relative_to(root).as_posix(), result))
            if output is not None:
                _write_overlay(output, path, root, inspector, result)
    if output is not None:
        with atomic_file(output / "results.csv", force=True) as temporary:
            temporary.write_text(_csv(rows), encoding="utf-8")
    _print(rows, as_json)
    if failed:
        shown = "\n  ".join(failed[:10])
        raise InputError(f"{len(failed)} of {len(paths)} pictures were skipped:\n  {shown}")


def _row(name: str, result: Result) -> dict[str, Any]:
    return {
        "picture": name,
        "label": result.label,
        "score": result.score,
        "anomalous_pixels": float(result.mask.mean()),
        "milliseconds": round(result.milliseconds, 3),
    }


def _write_overlay(output: Path, path: Path, root: Path, inspector: Inspector, result: Result) -> None:
    from anomedge.images import read_picture

    name = path.relative_to(root)
    target = output / "overlays" / (name if name.suffix == ".png" else name.with_name(name.name + ".png"))
    target.parent.mkdir(parents=True, exist_ok=True)
    geometry = inspector.bundle.manifest.geometry
    shown = overlay(read_picture(path), result.anomaly_map, inspector.decision, geometry)
    with atomic_file(target, force=True) as temporary:
        Image.fromarray(shown).save(temporary, format="PNG")


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(
        text, ["picture", "label", "score", "anomalous_pixels", "milliseconds"], lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _print(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        typer.echo(canonical_json(rows), nl=False)
        return
    console = Console(highlight=False, soft_wrap=True)
    for row in rows:
        colour = "red" if row["label"] == "anomalous" else "green"
        console.print(
            f"[{colour}]{row['label']:9}[/{colour}] {row['score']:12.6g}  {row['milliseconds']:8.2f} ms  ", end=""
        )
        console.print(row["picture"], markup=False)
