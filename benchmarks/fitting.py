"""Measure the greedy k-center selection and PaDiM's Gaussians at scale, and anomalib's own classes.

    python benchmarks/fitting.py --threads 2 -o benchmarks/results/fitting.md
    python benchmarks/fitting.py --data DIR             # features of the pictures below it, not of the demo's textures
    python benchmarks/fitting.py --anomalib DIR         # the folder that holds anomalib's package, when not installed
    python benchmarks/fitting.py --size small           # a quick run

Every cell runs in a separate process, ours and theirs in turn. Points are patches of EfficientNet-Lite0 with ImageNet
weights. Our selection runs to the end; theirs is timed over 200 centres and extrapolated, plus the time before the first
centre. Theirs selects among random projections of the points, with fewer numbers; ours selects among the points. Memory
is the peak above the process's memory before the points were read, relative to the size of the points. A Gaussian is
fitted at every patch of random embeddings, because values do not affect the time.

Our selection is then checked against the plain algorithm in float64: no sampled point and no later centre may be farther
from the earlier centres than the chosen one.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from _shared.machine import processor
from components import (
    PeakMemory,
    Stopwatch,
    anomalib_folder,
    fit_ours,
    fit_theirs,
    load_anomalib,
)
from torch import Tensor

from anomedge.components import FeatureExtractor, KCenterGreedy
from anomedge.demo.textures import PictureSet, write_pictures
from anomedge.images import list_pictures, read_picture, stretch
from anomedge.pipelines.patchcore import Patches

LAYERS = ["blocks.2", "blocks.4", "blocks.6"]
STRIDE = 8
PICTURES = 60
TIMED = 200  # centres of theirs
DRAWN = 2_000  # points that ours is held to
TOLERANCE = 1e-9  # of a squared distance


class Selection(NamedTuple):
    """A selection task: points of d features, and the number to select."""

    points: int
    features: int
    centres: int


SELECTIONS = {
    "full": [Selection(50_000, 256, 5_000), Selection(200_000, 384, 20_000)],
    "small": [Selection(5_000, 256, 500)],
}
GAUSSIANS = {
    "full": [
        {"images": images, "features": 100, "side": 64} for images in (200, 500)
    ],
    "small": [{"images": 50, "features": 50, "side": 32}],
}


def write_features(data: Path | None, wanted: Selection, path: Path) -> None:
    """Write patches as in PatchCore: the first `features` channels of three levels, from as many pixels as needed."""
    with tempfile.TemporaryDirectory() as folder:
        side = STRIDE * math.ceil(math.sqrt(wanted.points / PICTURES))
        if data is None:
            data = Path(folder)
            write_pictures(
                data,
                PictureSet(
                    frame=(side, side),
                    train=PICTURES,
                    held_back=0,
                    good=0,
                    bad=0,
                ),
            )
        paths = list_pictures(
            data / "train" if (data / "train").is_dir() else data
        )[:PICTURES]
        side = 32 * math.ceil(
            STRIDE * math.sqrt(wanted.points / len(paths)) / 32
        )
        points, filled = (
            np.empty((wanted.points, wanted.features), dtype=np.float32),
            0,
        )
        extractor = FeatureExtractor(
            "tf_efficientnet_lite0", LAYERS, weights="efficientnet-lite0"
        )
        patches = Patches(extractor, (side, side))
        for picture in paths:
            rows = _patches_of(picture, side, extractor, patches)[
                : wanted.points - filled, : wanted.features
            ]
            points[filled : filled + len(rows)] = rows
            filled += len(rows)
    np.save(path, points)


def _patches_of(
    picture: Path, side: int, extractor: FeatureExtractor, patches: Patches
) -> Tensor:
    frame = torch.from_numpy(
        np.array(stretch(read_picture(picture), (side, side)))
    )
    scaled = frame.permute(2, 0, 1)[None] / 255
    mean, std = (
        torch.tensor(values).reshape(1, 3, 1, 1)
        for values in (extractor.mean, extractor.std)
    )
    with torch.no_grad():
        rows: Tensor = patches(extractor((scaled - mean) / std))[0]
    return rows


def select_ours(path: Path, centres: int) -> dict[str, float]:
    """Run our selection; return seconds, memory, and the number of wrong choices."""
    # Start threads before the measurement.
    KCenterGreedy(torch.randn(2_000, 16), 0.1).select_coreset_idxs()
    memory = PeakMemory()
    before = memory.now()
    points = torch.from_numpy(np.load(path))
    start = time.perf_counter()
    chosen = KCenterGreedy(
        points, (centres + 0.5) / len(points)
    ).select_coreset_idxs()
    seconds = time.perf_counter() - start
    share = (memory.stop() - before) * 1e6 / points.nbytes
    return {
        "seconds": seconds,
        "memory": share,
        "wrong": wrong_choices(points, chosen),
        "chosen": len(set(chosen)),
    }


def select_theirs(path: Path, centres: int) -> dict[str, float]:
    """Estimate the time of anomalib's selection from a few centres and the time before the first."""
    kind = sys.modules["anomalib.models.components.sampling"].KCenterGreedy
    started: list[float] = []

    class Clocked(kind):  # type: ignore[misc, valid-type]
        def update_distances(self, *args: Any, **kwargs: Any) -> None:
            started.append(time.perf_counter())
            super().update_distances(*args, **kwargs)

    Clocked(torch.randn(2_000, 16), 0.1).select_coreset_idxs()
    started.clear()
    memory = PeakMemory()
    before = memory.now()
    points = torch.from_numpy(np.load(path))
    start = time.perf_counter()
    greedy = Clocked(points, (TIMED + 1.5) / len(points))
    greedy.select_coreset_idxs()
    one = (time.perf_counter() - started[0]) / TIMED
    share = (memory.stop() - before) * 1e6 / points.nbytes
    seconds = started[0] - start + one * (centres - 1)
    return {
        "seconds": seconds,
        "one": one,
        "memory": share,
        "projected": greedy.features.shape[1],
    }


def wrong_choices(points: Tensor, chosen: Sequence[int]) -> int:
    """Count the choices that were not the farthest, compared with sampled points and centres, in float64."""
    drawn = torch.randperm(
        len(points), generator=torch.Generator().manual_seed(1)
    )[:DRAWN]
    shift = points[drawn].double().mean(dim=0)
    centres = points[list(chosen)].double() - shift
    asked = torch.cat([points[drawn].double() - shift, centres])
    radii = torch.full((len(centres),), torch.inf, dtype=torch.float64)
    for at in torch.split(torch.arange(len(centres)), 256):
        earlier = torch.arange(len(centres)) < at[:, None]
        radii[at] = (
            _squares(centres[at], centres)
            .masked_fill(~earlier, torch.inf)
            .amin(dim=1)
        )
    wrong = torch.zeros(len(centres) - 1, dtype=torch.bool)
    for some in torch.split(asked, 256):
        wrong |= (
            _squares(some, centres).cummin(dim=1).values[:, :-1]
            > radii[1:] * (1 + TOLERANCE)
        ).any(dim=0)
    return int(wrong.sum())


def _squares(x: Tensor, y: Tensor) -> Tensor:
    return (
        torch.addmm(y.square().sum(dim=1), x, y.mT, alpha=-2)
        .add_(x.square().sum(dim=1)[:, None])
        .clamp_(min=0)
    )


def gaussian(sizes: dict[str, int], theirs: bool) -> dict[str, float]:
    """Return seconds and total MB of one fit of each."""
    fit = fit_theirs if theirs else fit_ours
    fit("gaussian", {"images": 8, "features": 8, "side": 4}, Stopwatch())
    timed, memory = Stopwatch(), PeakMemory()
    before = memory.now()
    fit("gaussian", sizes, timed)
    return {"seconds": timed.seconds, "memory": memory.stop() - before}


def cell(asked: dict[str, Any]) -> dict[str, float]:
    """Make one measurement in this process."""
    if asked["threads"] is not None:
        torch.set_num_threads(asked["threads"])
    if asked["anomalib"] is not None:
        load_anomalib(Path(asked["anomalib"]))
    if "sizes" in asked:
        return gaussian(asked["sizes"], asked["anomalib"] is not None)
    select = select_ours if asked["anomalib"] is None else select_theirs
    return select(Path(asked["points"]), asked["centres"])


def measure(
    anomalib: Path | None, options: argparse.Namespace, **asked: Any
) -> dict[str, float]:
    """Make one measurement in a separate process."""
    asked |= {
        "threads": options.threads,
        "anomalib": None if anomalib is None else str(anomalib),
    }
    done = subprocess.run(
        [sys.executable, __file__, "--cell", json.dumps(asked)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(asked, measured, file=sys.stderr, flush=True)
    return measured


def selections(anomalib: Path, options: argparse.Namespace) -> str:
    """Return the table: one row per selection."""
    lines = [
        f"| greedy k-center | ours, s | anomalib, s ({TIMED} centres timed) | ratio "
        "| ours, memory | anomalib, memory | choices that are not the farthest |",
        "|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "points.npy"
        for wanted in SELECTIONS[options.size]:
            write_features(options.data, wanted, path)
            ours = measure(
                None, options, points=str(path), centres=wanted.centres
            )
            theirs = measure(
                anomalib, options, points=str(path), centres=wanted.centres
            )
            if ours["chosen"] != wanted.centres:
                raise SystemExit(
                    f"error: got {ours['chosen']} centres; expected {wanted.centres}"
                )
            lines.append(
                f"| {wanted.points:,} x {wanted.features} to {wanted.centres:,} | {ours['seconds']:.1f} "
                f"| {theirs['seconds']:,.1f} ({1e3 * theirs['one']:.1f} ms a centre, {theirs['projected']} features) "
                f"| {theirs['seconds'] / ours['seconds']:.1f} "
                f"| {ours['memory']:.2f} of the points | {theirs['memory']:.2f} | {ours['wrong']:.0f} |"
            )
    return "\n".join(lines)


def gaussians(anomalib: Path, options: argparse.Namespace) -> str:
    """Return the table: one row per number of images."""
    lines = [
        "| a Gaussian a patch | ours, s | anomalib, s | ratio | ours, MB | anomalib, MB | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for sizes in GAUSSIANS[options.size]:
        ours, theirs = (
            measure(package, options, sizes=sizes)
            for package in (None, anomalib)
        )
        lines.append(
            f"| {sizes['images']} images, {sizes['side'] ** 2:,} patches, {sizes['features']} features "
            f"| {ours['seconds']:.2f} | {theirs['seconds']:.2f} | {theirs['seconds'] / ours['seconds']:.1f} "
            f"| {ours['memory']:.0f} | {theirs['memory']:.0f} | {theirs['memory'] / ours['memory']:.1f} |"
        )
    return "\n".join(lines)


def machine() -> str:
    """Describe processor, cores and load."""
    return f"{processor()}, load {os.getloadavg()[0]:.1f} before it started"


def _version(anomalib: Path) -> str:
    found = sorted(anomalib.glob("anomalib-*.dist-info"))
    try:
        return (
            found[-1].name.split("-")[1].removesuffix(".dist")
            if found
            else version("anomalib")
        )
    except PackageNotFoundError:
        return "of an unknown version"


def main() -> int:
    """Run, print, and write the tables if requested."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument(
        "--data",
        type=Path,
        help="a folder of pictures, or one with train; the demo's textures if not",
    )
    parser.add_argument(
        "--anomalib",
        type=Path,
        metavar="DIR",
        help="the folder that holds anomalib's package",
    )
    parser.add_argument("--size", choices=SELECTIONS, default="full")
    parser.add_argument(
        "--threads", type=int, help="of both; torch's own number unless given"
    )
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        print(json.dumps(cell(json.loads(options.cell))))
        return 0
    anomalib = anomalib_folder(options.anomalib)
    if (
        anomalib is None
        or not (anomalib / "anomalib" / "models" / "components").is_dir()
    ):
        parser.error(
            f"got {anomalib}; expected a folder that holds anomalib/models/components: --anomalib DIR"
        )
    shown, given = "the demo's textures", ""
    if options.data is not None:
        shown, given = (
            f"the pictures of {options.data.resolve().name}",
            f" --data {options.data.resolve().name}",
        )
    text = (
        "# Fitting at scale, beside anomalib\n\n"
        f"`python benchmarks/fitting.py --size {options.size}{given}`, {machine()}, "
        f"{options.threads or torch.get_num_threads()} threads, torch {torch.__version__}, anomalib {_version(anomalib)}. Ratios are anomalib's over ours. Points are "
        f"EfficientNet-Lite0's patches of {shown}; memory includes the points.\n\n"
        f"{selections(anomalib, options)}\n\n{gaussians(anomalib, options)}\n"
    )
    print(text)
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
