"""Measure the share of preprocessing in a detector's time, from graphs for two frame sizes, timed in turns.

    python benchmarks/preprocessing.py -o benchmarks/results/preprocessing.md

Each detector is exported twice: for frames of its image's size, without a resize, and for camera frames. The share is the
time difference, divided by the time of the second. Weights are random, because speed does not depend on them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from _shared.models import model_without_fit

from anomedge import pipelines, runtimes
from anomedge.components import FeatureExtractor
from anomedge.components.features import layers_at_strides
from anomedge.export.tracing import graph_from_model, keep_shipped_outputs
from anomedge.export.writing import write_ir, write_onnx
from anomedge.pipelines.model import Model

IMAGE = (256, 256)
DETECTORS = {
    "PaDiM ResNet18": (
        "padim",
        "resnet18",
        {"channels": tuple(range(0, 400, 4))},
    ),
    "PatchCore WRN50, 10,000": (
        "patchcore",
        "wide_resnet50_2",
        {"n_vectors": 10_000},
    ),
}


def model_of(detector: str, backbone: str, own: dict[str, object]) -> Model:
    """Return a detector with random weights and statistics."""
    torch.manual_seed(0)
    kind = pipelines.get(detector)
    extractor = FeatureExtractor(
        backbone,
        layers_at_strides(backbone, kind.default_strides),
        pre_trained=False,
    )
    pipeline = kind(
        kind.config_class.of(extractor, IMAGE, **own),
        extractor,
    ).eval()
    if detector == "padim":
        features, patches = pipeline.gaussian.mean.shape
        whitening = (
            0.01 * torch.randn(features, features).tril() + torch.eye(features)
        ).expand(patches, -1, -1)
        pipeline.gaussian.load_state_dict(
            {
                "mean": torch.zeros(features, patches),
                "inv_covariance": whitening.mT @ whitening,
            }
        )
    else:
        for name, buffer in pipeline.bank.named_buffers():
            if name.startswith("vectors"):
                buffer.normal_()
    return model_without_fit(pipeline, IMAGE)


def sessions(
    model: Model, frame: tuple[int, int], folder: Path, threads: int
) -> Iterator[Callable[[], object]]:
    """Return a run of the graph for a frame size, for each runtime."""
    folder.mkdir(parents=True)
    graph, _ = graph_from_model(model, frame, None, 17)
    keep_shipped_outputs(graph)
    write_onnx(graph, folder / "model.onnx")
    write_ir(folder / "model.onnx", folder / "model.xml")
    frames = np.random.default_rng(0).integers(
        0, 256, (1, *frame, 3), dtype=np.uint8
    )
    for runtime, file in (
        ("onnxruntime", "model.onnx"),
        ("openvino", "model.xml"),
    ):
        session = runtimes.open(folder / file, runtime=runtime, threads=threads)
        yield lambda session=session: session.run({"frames": frames})


def medians(
    runs: list[Callable[[], object]], rounds: int
) -> list[tuple[float, list[float]]]:
    """Time all runs in turns; return the median and the times of each, in milliseconds."""
    taken: list[list[float]] = [[] for _ in runs]
    for turn in range(rounds + 2):
        for place, run in enumerate(runs):
            start = time.perf_counter()
            run()
            if turn > 1:
                taken[place].append(1e3 * (time.perf_counter() - start))
    return [(statistics.median(times), times) for times in taken]


def rows(
    frames: list[tuple[int, int]], rounds: int, threads: int
) -> Iterator[str]:
    """Return the lines of the table."""
    for name, given in DETECTORS.items():
        with tempfile.TemporaryDirectory() as folder:
            model = model_of(*given)
            runs = [
                run
                for frame in [IMAGE, *frames]
                for run in sessions(
                    model,
                    frame,
                    Path(folder) / f"{frame[0]}x{frame[1]}",
                    threads,
                )
            ]
            figures = medians(runs, rounds)
        for place, frame in enumerate(frames, start=1):
            for number, runtime in enumerate(("ONNX Runtime", "OpenVINO")):
                (without, bare), (whole, full) = (
                    figures[number],
                    figures[2 * place + number],
                )
                share = statistics.median(
                    1 - b / f for b, f in zip(bare, full, strict=True)
                )
                size = f"{frame[0]}x{frame[1]}"
                yield f"| {name} | {runtime} | {size} | {whole:.1f} | {without:.1f} | {share:.2f} |"


def main() -> int:
    """Run, print, and write the table if requested."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    lines = rows([(480, 640), (1080, 1920)], options.rounds, options.threads)
    text = (
        f"# What the camera's frames cost before the backbone\n\n`benchmarks/preprocessing.py`, batch 1, {os.cpu_count()} cores, "
        f"{options.threads} threads, medians of {options.rounds} in turns; the share is the median of the turns' own.\n\n"
        "| detector | runtime | frame | ms | ms at 256x256, nothing resized | share of the frames |\n|---|---|---|---|---|---|\n"
        + "\n".join(lines)
        + "\n"
    )
    print(text)
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
