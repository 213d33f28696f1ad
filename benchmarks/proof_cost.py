"""Count what the reference of a proof costs: eager inferences and seconds of export and verify.

    python benchmarks/proof_cost.py --threads 1 -o benchmarks/results/proof_cost.md
    python benchmarks/proof_cost.py --data DIR     # a folder laid out as MVTec AD's, not the demo's textures

Each detector is fitted once, then exported and verified twice: with the reference as it is, and with the earlier one,
which bisected each pair by itself, ran accepted blends again, ran stages and golden frames besides, and decoded each
picture on each use. A frame counts as one eager inference, whether for outputs or for stages.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from _shared.machine import conditions

from anomedge.bundle import Bundle
from anomedge.commands._arguments import parse_size
from anomedge.demo.textures import PictureSet, write_pictures
from anomedge.export import proof
from anomedge.export.bundling import ExportOptions, export
from anomedge.export.eager import EagerSession
from anomedge.export.eager_runs import EagerRuns
from anomedge.images import Frame, Picture
from anomedge.parity import Certificate
from anomedge.parity.blends import Blend
from anomedge.parity.crossing import Window
from anomedge.parity.outputs import FRAMES
from anomedge.pipelines.fitting import FitOptions, fit
from anomedge.pipelines.model import load, save
from anomedge.pipelines.preprocessing import to_images
from anomedge.resample import Geometry
from anomedge.threshold import Decision
from anomedge.verification import certify, plan_of

DETECTORS = ("patchcore", "padim")
BACKBONE = {
    "backbone": "tf_efficientnet_lite0",
    "weights": "efficientnet-lite0",
}
STEPS, TRIES = 12, 4
BATCHES = (1, 2, 4, 8, 16)


class Row(NamedTuple):
    """Cost of one export or one verification."""

    detector: str
    reference: str
    command: str
    pictures: int
    blends: int
    searching: int
    inferences: int
    seconds: float
    cpu_seconds: float


class Counter:
    """Eager inferences, and how many of them a search for blends made."""

    def __init__(self) -> None:
        self.all = self.searching = 0


def bisected(
    pictures: Sequence[Picture],
    scores: np.ndarray[Any, Any],
    decision: Decision,
    frame: tuple[int, int],
    run: Callable[[Any], Any],
    count: int,
) -> list[Blend]:
    """Return blends as earlier releases found them: each pair by itself, by bisection."""
    window = Window.of(decision)
    flags = decision.is_anomalous(scores)
    below = [p for p, flag in zip(pictures, flags, strict=True) if not flag]
    above = [p for p, flag in zip(pictures, flags, strict=True) if flag]
    turns = itertools.product(
        (0.0, 0.25, 0.5, 0.75), range(len(above)), enumerate(below)
    )
    found: list[Blend] = []
    for shift, turn, (place, normal) in itertools.islice(turns, TRIES * count):
        defect = above[(place + turn) % len(above)]
        moved = np.roll(defect.frame(frame), round(shift * frame[1]), axis=1)
        blend = _bisect(normal.frame(frame), moved, decision, window, run)
        if blend is not None:
            name = f"blended/{normal.name}+{defect.name}@{shift:g}"
            # The outputs were run again at the end.
            picture = Picture(name, pixels=blend, generated="blended")
            found.append(Blend(picture, run(blend[None])))
        if len(found) == count:
            break
    return found


def _bisect(
    normal: Frame,
    defect: Frame,
    decision: Decision,
    window: Window,
    run: Callable[[Any], Any],
) -> Frame | None:
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        share = (low + high) / 2
        mixed = (1 - share) * normal + share * defect
        pixels = mixed.round().astype(np.uint8)
        distance = float(run(pixels[None]).score[0]) - decision.threshold
        if window.holds(distance):
            return np.asarray(pixels)
        low, high = (low, share) if distance > 0 else (share, high)
    return None


def no_blends(*_: Any) -> list[Blend]:
    """Return the blends at other levels that earlier releases made: none."""
    return []


class ForgetfulRuns(EagerRuns):
    """Eager runs of earlier releases: nothing is kept."""

    def of_pictures(
        self, pictures: Any, description: str, staged: Any = ()
    ) -> Any:
        """Run every picture, and none for its stages."""
        del staged
        self._outputs.clear()
        self._stages.clear()
        return super().of_pictures(pictures, description)

    def stages(self, pictures: Any, places: Any) -> Any:
        """Run the stages of the pictures."""
        self._stages.clear()
        return super().stages(pictures, places)


@contextlib.contextmanager
def earlier() -> Iterator[None]:
    """Make the reference of a proof as earlier releases did."""
    with contextlib.ExitStack() as stack:
        for target, name, value in (
            (proof, "blends", bisected),
            (proof, "blends_at_levels", no_blends),
            (proof, "EagerRuns", ForgetfulRuns),
            (proof, "held", list),
            (sys.modules["anomedge.parity.proof"], "held", list),
        ):
            stack.enter_context(mock.patch.object(target, name, value))
        yield


@contextlib.contextmanager
def counted() -> Iterator[Counter]:
    """Count the frames that eager Torch is given."""
    counter = Counter()
    run, stages = EagerSession._run, EagerSession.stages
    searches = (proof.blends, proof.blends_at_levels)

    def counting_run(self: EagerSession, feed: Any) -> Any:
        counter.all += len(feed[FRAMES])
        return run(self, feed)

    def counting_stages(self: EagerSession, frames: Any) -> Any:
        counter.all += len(frames)
        return stages(self, frames)

    def counting_search(search: Callable[..., Any], *given: Any) -> Any:
        before = counter.all
        try:
            return search(*given)
        finally:
            counter.searching += counter.all - before

    at_threshold, at_levels = (partial(counting_search, s) for s in searches)

    with (
        mock.patch.object(EagerSession, "_run", counting_run),
        mock.patch.object(EagerSession, "stages", counting_stages),
        mock.patch.object(proof, "blends", at_threshold),
        mock.patch.object(proof, "blends_at_levels", at_levels),
    ):
        yield counter


def measured(
    detector: str,
    reference: str,
    command: str,
    work: Callable[[], Certificate],
) -> Row:
    """Run the work and return its cost."""
    start, cpu = time.perf_counter(), time.process_time()
    with counted() as counter:
        certificate = work()
    seconds, cpu_seconds = (
        time.perf_counter() - start,
        time.process_time() - cpu,
    )
    if not certificate.passed:
        raise SystemExit(f"error: the proof failed: {certificate.failures[0]}")
    count = certificate.pictures
    row = Row(
        detector, reference, command, count.own + count.extreme,
        count.blended + count.levels, counter.searching, counter.all, seconds, cpu_seconds,
    )  # fmt: skip
    print(row, file=sys.stderr, flush=True)
    return row


def rows_of(
    detector: str, model: Path, folder: Path, options: argparse.Namespace
) -> Iterator[Row]:
    """Yield the cost of export and verify, as it was and as it is."""
    frame = parse_size(options.frame)
    for reference in ("earlier", "now"):
        context = (
            earlier() if reference == "earlier" else contextlib.nullcontext()
        )
        target = model.with_suffix(f".{reference}.anomedge")
        with context:
            yield measured(
                detector,
                reference,
                "export",
                partial(
                    export, model, target, ExportOptions(frame, golden=[folder])
                ),
            )
            bundle = Bundle.open(target)
            yield measured(
                detector,
                reference,
                "verify",
                partial(certify, bundle, plan_of(bundle), model, [folder]),
            )
        shutil.rmtree(target)


def batch_line(model: Path, frame: tuple[int, int]) -> str:
    """Return the milliseconds of eager Torch per picture by batch size, and the difference of the scores."""
    loaded = load(model)
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (BATCHES[-1], *frame, 3), np.uint8)
    images = to_images(torch.from_numpy(pixels), loaded.geometry)
    times, scores = {}, {}
    with torch.no_grad():
        loaded.pipeline(images[:1])
        for batch in BATCHES:
            start = time.perf_counter()
            parts = [
                loaded.pipeline(some).score for some in images.split(batch)
            ]
            times[batch] = 1000 * (time.perf_counter() - start) / len(images)
            scores[batch] = torch.cat(parts)
    largest = max(
        float((scores[batch] - scores[1]).abs().max()) for batch in BATCHES
    )
    shown = ", ".join(f"{times[batch]:.0f} ms at {batch}" for batch in BATCHES)
    return (
        f"Eager Torch per picture by batch size: {shown}; scores differ by up to "
        f"{largest / loaded.decision.scale:.1e} of the scale."
    )


def table(rows: Sequence[Row]) -> str:
    """Return the table, one row per command."""
    lines = [
        "| detector | reference | command | pictures | blends | inferences for blends | all eager inferences | s | CPU s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.detector} | {row.reference} | {row.command} | {row.pictures} | {row.blends} | {row.searching} "
        f"| {row.inferences} | {row.seconds:.1f} | {row.cpu_seconds:.1f} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> int:
    """Run, print, and write the table if requested."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument(
        "--data", type=Path, help="a folder with train and test"
    )
    parser.add_argument("--frame", default="256x256", help="HxW of the frames")
    parser.add_argument("--size", default="256x256", help="HxW of the images")
    parser.add_argument("--detector", choices=DETECTORS, action="append")
    parser.add_argument(
        "--backbone", help="timm architecture, of random weights"
    )
    parser.add_argument("--threads", type=int, help="of eager Torch")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    machine, rows = conditions(), []
    with tempfile.TemporaryDirectory() as folder:
        data = options.data or Path(folder)
        if options.data is None:
            frame = parse_size(options.frame)
            write_pictures(data, PictureSet(frame, train=24, held_back=0))
        batches = []
        for detector in options.detector or DETECTORS:
            model = Path(folder) / f"{detector}.safetensors"
            own = dict(BACKBONE)
            if options.backbone:
                own = {"backbone": options.backbone, "weights": "random"}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fitting = FitOptions(
                    Geometry(parse_size(options.size)),
                    detector=own,
                    holdout=0.2,
                )
                save(fit(detector, data / "train", fitting), model)
            rows += rows_of(detector, model, data / "test", options)
            batches.append(
                f"{detector}: {batch_line(model, parse_size(options.frame))}"
            )
    name = "the demo's textures" if options.data is None else options.data.name
    text = (
        "# Cost of a proof's reference\n\n"
        f"`python benchmarks/proof_cost.py`, pictures of {name}, frames of {options.frame}, {machine}, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}.\n\n"
        f"{table(rows)}\n\n" + "\n\n".join(batches) + "\n"
    )
    print(text)
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
