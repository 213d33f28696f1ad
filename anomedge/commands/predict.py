"""anomedge predict: pictures in, verdicts and heat maps out."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image
from rich.console import Console

from anomedge.bundle import Bundle
from anomedge.commands._options import Device, Precision, Runtime, Threads
from anomedge.errors import InputError, OutputError
from anomedge.files import atomic_file, canonical_json
from anomedge.images import Frame, list_pictures
from anomedge.inspector import Inspector, Result
from anomedge.overlay import overlay
from anomedge.progress import track

EXAMPLE = "anomedge predict part.anomedge images/ -o out/"

Option = typer.Option


class Format(str, Enum):
    """Of the results' file."""

    csv = "csv"
    json = "json"


def predict(
    bundle: Annotated[Path, typer.Argument(help="Bundle to inspect with.")],
    pictures: Annotated[Path, typer.Argument(help="A picture, or a folder of them, of the bundle's frame size.")],
    output: Annotated[Path | None, Option("--output", "-o", help="Folder for results and overlays.")] = None,
    form: Annotated[Format, Option("--format", help="Write results.csv or results.json.")] = Format.csv,
    overlays: Annotated[bool, Option("--overlays/--no-overlays", help="Draw a heat map over each picture.")] = True,
    batch: Annotated[int, Option(min=1, help="Pictures at once.")] = 1,
    runtime: Runtime = None,
    device: Device = "cpu",
    precision: Precision = "fp32",
    threads: Threads = None,
    as_json: Annotated[bool, Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Inspect pictures: score, label and time of each, a results file, and a heat map over each picture.

    What cannot be inspected is skipped and named, and makes the exit code 2; the rest is written all the same.
    """
    if not pictures.exists():
        raise InputError(f"got {pictures}, which does not exist; expected a picture or a folder of them")
    paths = list_pictures(pictures) if pictures.is_dir() else [pictures]
    root = pictures if pictures.is_dir() else pictures.parent
    opened = Bundle.open(bundle)
    _make(output, pictures)
    rows: list[dict[str, Any]] = []
    failed: list[str] = []
    with Inspector.open(opened, runtime, device, precision=precision, threads=threads) as inspector:
        starts = range(0, len(paths), batch)
        for start in track(starts, "inspecting", total=len(starts)):
            frames = _read(inspector, paths[start : start + batch], failed)
            results = inspector.predict_batch(list(frames.values())) if frames else []
            for (path, frame), result in zip(frames.items(), results, strict=True):
                name = path.relative_to(root)
                rows.append(_row(name.as_posix(), result))
                if output is not None and overlays:
                    _write_overlay(output / "overlays" / name, frame, inspector, result)
            if (said := inspector.changed()) is not None:
                warnings.warn(said, stacklevel=2)
    if output is not None:
        text = _csv(rows) if form is Format.csv else canonical_json(rows).decode()
        with atomic_file(output / f"results.{form.value}", force=True) as temporary:
            temporary.write_text(text, encoding="utf-8")
    _print(rows, as_json)
    if failed:
        shown = "\n  ".join(failed[:10]) + (f"\n  and {len(failed) - 10} more" if len(failed) > 10 else "")
        raise InputError(f"{len(failed)} of {len(paths)} pictures were skipped:\n  {shown}")


def _make(output: Path | None, pictures: Path) -> None:
    if output is None:
        return
    if pictures.is_dir() and output.resolve().is_relative_to(pictures.resolve()):
        raise InputError(f"got {output} inside {pictures}; expected another folder: the next run would inspect it")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {output}: {error.strerror or error}; give a writable folder") from error


def _read(inspector: Inspector, paths: Sequence[Path], failed: list[str]) -> dict[Path, Frame]:
    """The frames that can be inspected, by path; why the others cannot goes to `failed`."""
    frames = {}
    for path in paths:
        try:
            frames[path] = inspector.read(path)
        except InputError as error:
            failed.append(str(error))
    return frames


def _row(name: str, result: Result) -> dict[str, Any]:
    return {
        "picture": name,
        "label": result.label,
        "score": result.score,
        "anomalous_pixels": float(result.mask.mean()),
        "milliseconds": round(result.milliseconds, 3),
    }


def _write_overlay(target: Path, frame: Frame, inspector: Inspector, result: Result) -> None:
    target = target if target.suffix == ".png" else target.with_name(target.name + ".png")
    shown = overlay(frame, result.anomaly_map, inspector.decision, inspector.bundle.manifest.geometry)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {target.parent}: {error.strerror or error}; give a writable folder") from error
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
