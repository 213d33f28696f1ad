"""Run the demonstration: write pictures; fit, export and prove both detectors; draw overlays; time the runtimes."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from anomedge.bundle import Bundle
from anomedge.demo.textures import PictureSet, write_pictures
from anomedge.errors import OutputError
from anomedge.export.bundling import ExportOptions, export
from anomedge.images import Frame, Picture, read_folder
from anomedge.images.overlay import overlay
from anomedge.inspector import Inspector
from anomedge.parity import Certificate
from anomedge.pipelines.fitting import FitOptions, fit
from anomedge.pipelines.model import save
from anomedge.resample import Geometry

__all__ = ["DETECTORS", "Outcome", "run"]

DETECTORS = ("padim", "patchcore")
_ROUNDS = 15
_STEPS = 3
"""Steps of a detector: fit, export, inspect."""
_MARKER = ".anomedge-demo"


@dataclass(frozen=True)
class Outcome:
    """Result of one detector: bundle, certificate, sheet of overlays, and milliseconds per frame by runtime."""

    detector: str
    bundle: Path
    certificate: Certificate
    sheet: Path
    milliseconds: dict[str, float]


def run(
    output: Path, pictures: PictureSet, report: Callable[[str], None] = print
) -> list[Outcome]:
    """Run the demonstration in the folder `output`; replace the results of an earlier run."""
    folder = output / "pictures"
    steps = count(1)

    def announce(text: str) -> None:
        report(f"{next(steps)} of {1 + _STEPS * len(DETECTORS)}: {text}")

    announce(
        f"pictures: crops of the photograph '{pictures.texture}', defects planted, in {folder}"
    )
    _make_room(output)
    write_pictures(folder, pictures)
    return [
        _one(detector, output, folder, pictures, announce)
        for detector in DETECTORS
    ]


def _make_room(output: Path) -> None:
    """Remove the pictures of an earlier run; refuse a folder with other files."""
    output.mkdir(parents=True, exist_ok=True)
    marker = output / _MARKER
    if any(output.iterdir()) and not marker.is_file():
        raise OutputError(
            f"{output} holds files that are no demo's; expected a new or empty folder: give -o another one"
        )
    marker.touch()
    if (output / "pictures").exists():
        shutil.rmtree(output / "pictures")


def _one(
    detector: str,
    output: Path,
    folder: Path,
    pictures: PictureSet,
    announce: Callable[[str], None],
) -> Outcome:
    model, target = (
        output / f"{detector}.safetensors",
        output / f"{detector}.anomedge",
    )
    announce(
        f"fit {detector} to {pictures.train} pictures, threshold from {pictures.held_back} others"
    )
    options = FitOptions(
        Geometry((256, 256)),
        detector={
            "backbone": "tf_efficientnet_lite0",
            "weights": "efficientnet-lite0",
        },
        held_back=folder / "held_back",
        seed=pictures.seed,
    )
    save(fit(detector, folder / "train", options), model, force=True)
    announce(
        f"export {detector} for frames of {pictures.frame[0]}x{pictures.frame[1]} and prove it against eager Torch"
    )
    certificate = export(
        model,
        target,
        ExportOptions(
            frame=pictures.frame, golden=[folder / "test"], force=True
        ),
    )
    announce(f"inspect with {target}")
    runtimes = list(dict.fromkeys(cell.runtime for cell in certificate.cells))
    sheet = output / f"{detector}-overlays.png"
    shown = _examples(read_folder(folder / "test"))
    _write_sheet(sheet, target, shown, runtimes)
    return Outcome(
        detector,
        target,
        certificate,
        sheet,
        _milliseconds(target, shown[0].frame(), runtimes),
    )


def _examples(pictures: list[Picture]) -> list[Picture]:
    """Return the first picture of each kind."""
    kinds = {
        picture.name.split("/")[0]: picture for picture in reversed(pictures)
    }
    return [kinds[kind] for kind in sorted(kinds)]


def _write_sheet(
    path: Path, target: Path, pictures: list[Picture], runtimes: list[str]
) -> None:
    """Write a sheet with one row per picture: the frame, then each runtime's overlay."""
    columns = [[_titled(picture.frame(), picture.name) for picture in pictures]]
    for runtime in runtimes:
        with Inspector.open(target, runtime=runtime) as inspector:
            columns.append(
                [
                    _overlay_of(inspector, picture, runtime)
                    for picture in pictures
                ]
            )
    sheet = np.concatenate(
        [np.concatenate(column, axis=0) for column in columns], axis=1
    )
    Image.fromarray(sheet).save(path)


def _overlay_of(inspector: Inspector, picture: Picture, runtime: str) -> Frame:
    frame = picture.frame()
    (result,) = inspector.predict_batch([frame])
    geometry, drawn = inspector.bundle.manifest.geometry, frame
    if result.anomaly_map is not None:
        drawn = overlay(
            frame,
            result.anomaly_map,
            inspector.decision,
            geometry,
            picture.mask(),
        )
    return _titled(
        drawn,
        f"{runtime}: {result.label}, {result.score:.2f} (threshold {inspector.decision.threshold:.2f})",
    )


def _titled(frame: Frame, text: str) -> Frame:
    image = Image.fromarray(frame)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, image.width, 20), fill=(0, 0, 0))
    draw.text((6, 4), text, fill=(255, 255, 255))
    return np.asarray(
        image.resize(
            (image.width // 2, image.height // 2), Image.Resampling.LANCZOS
        )
    )


def _milliseconds(
    target: Path, frame: Frame, runtimes: list[str]
) -> dict[str, float]:
    """Return the median time of one frame by runtime; runtimes alternate, so that their ratio is reliable."""
    bundle = Bundle.open(target)
    inspectors = {
        runtime: Inspector.open(bundle, runtime=runtime) for runtime in runtimes
    }
    times: dict[str, list[float]] = {runtime: [] for runtime in runtimes}
    for turn in range(_ROUNDS + 2):
        for runtime, inspector in inspectors.items():
            start = time.perf_counter()
            inspector.predict(frame)
            if turn >= 2:  # the first turns allocate
                times[runtime].append((time.perf_counter() - start) * 1000)
    for inspector in inspectors.values():
        inspector.close()
    return {
        runtime: statistics.median(values) for runtime, values in times.items()
    }
