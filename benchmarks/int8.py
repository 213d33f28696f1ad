"""Compare float detectors with INT8 by the usual tools and INT8 of anomedge: flips, AUROC, F1, latency and bytes.

    python benchmarks/int8.py --data DIR -o benchmarks/results/int8.md
    python benchmarks/int8.py --data DIR --backbone tf_efficientnet_lite2=FILE.pth
    python benchmarks/int8.py --data DIR --imported bottle=FILE.safetensors

DIR holds `bottle` and `cookies`, each with train/good and test/<kind>. The detectors are fitted here and fed frames of
the model's size; imported ones, made by `anomedge import`, keep their statistics, and their size is that of the file. A
flip is a test picture whose label differs from the float detector's in the same runtime; the usual tools keep the
float threshold. `labels` is INT8 of anomedge with every second test picture as `--labelled`; its flips among the others
stand apart. Each round of the timing runs every graph once, in turn.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from _int8.graphs import (
    Refused,
    Session,
    sessions_of,
    write_graphs,
    write_usual,
)
from _shared.machine import conditions
from _shared.script import working_folder, write_page

from anomedge.errors import ProofFailed
from anomedge.export.quantising import statement
from anomedge.images import Picture, read_folder, read_folders
from anomedge.pipelines.fitting import FitOptions, fit
from anomedge.pipelines.model import Model, load, save
from anomedge.pipelines.quantised.quantise import (
    Budget,
    QuantiseOptions,
    quantise,
)
from anomedge.resample import Geometry

LITE0 = "tf_efficientnet_lite0=efficientnet-lite0"
PLACES = {"bottle": "mvtec_ad/bottle", "cookies": "cookies"}
HEAD = (
    "| detector | backbone | pictures | INT8 layers | graph | runtime | flips | AUROC | F1 | ms | of float | MB |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


@dataclass(frozen=True)
class Case:
    """A detector on a backbone with weights, fitted to a set of pictures.

    Attributes:
        model: the model file of an imported detector; None: fit it.
    """

    detector: str
    backbone: str
    weights: str
    pictures: str
    model: Path | None = None

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.detector}-{self.backbone}-{self.pictures}"


def all_cases(backbones: Sequence[str], imported: Sequence[str]) -> list[Case]:
    """Return the cases of the table, for backbones NAME=WEIGHTS and imported models PICTURES=FILE."""
    named = [each.split("=", 1) for each in backbones]
    fitted = [
        Case(detector, backbone, weights, pictures)
        for pictures in PLACES
        for backbone, weights in named
        for detector in ("padim", "patchcore")
    ]
    files = [each.split("=", 1) for each in imported]
    return fitted + [
        Case(Path(file).stem, "imported", "", pictures, Path(file))
        for pictures, file in files
    ]


def run_case(case: Case, data: Path, folder: Path, options: Any) -> list[str]:
    """Return the rows of a case."""
    folder.mkdir(parents=True, exist_ok=True)
    normal = list(read_folder(data / "train/good"))
    test = read_folders([data / "test"])
    model = _model(case, data, folder, (options.size, options.size))
    size = model.geometry.size
    plain = QuantiseOptions(
        normal,
        refit=case.model is None,
        budget=Budget(options.max_flips, 0.002),
    )
    given = replace(plain, labelled=test[::2])
    try:
        quantised = _quantised(model, plain, folder / "model.int8.safetensors")
        labels = _quantised(model, given, folder / "labels.int8.safetensors")
    except ProofFailed as error:
        shared = f"{case.detector} | {case.backbone} | {case.pictures}"
        return [f"| {shared} | refused: {error} |" + " |" * 8]
    frames = [picture.frame(size) for picture in normal]
    # Those of an earlier run in the same folder are reused.
    if not (folder / "usual.onnx").exists():
        write_graphs(model, size, folder / "float")
        write_usual(folder / "float", folder / "usual", frames)
    write_graphs(quantised, size, folder / "anomedge")
    write_graphs(labels, size, folder / "labels")
    shared = f"{case.detector} | {case.backbone} | {case.pictures}"
    found = list(sessions_of(folder))
    sessions = [each for each in found if isinstance(each, Session)]
    models = {
        "float": model,
        "usual": model,
        "anomedge": quantised,
        "labels": labels,
    }
    rows = _rows(shared, sessions, test, models, size)
    return rows + [
        f"| {shared} | - | {each.variant} | {each.runtime} | does not open: {each.reason} |"
        + " |" * 5
        for each in found
        if isinstance(each, Refused)
    ]


def _quantised(model: Model, options: QuantiseOptions, path: Path) -> Model:
    """Return the quantised detector; that of an earlier run in the same folder is reused."""
    if not path.exists():
        save(quantise(model, options), path)
    return load(path)


def _layers(model: Model) -> str:
    """Return how many of the layers are quantised."""
    stated = statement(model)
    if stated is None:
        return "-"
    kept = sum(map(len, stated.kept.values()))
    return f"{stated.quantised} of {stated.quantised + kept}"


def stored_rows(
    case: Case, data: Path, folder: Path, options: argparse.Namespace
) -> tuple[str, list[str]]:
    """Return the conditions and the rows of a case; those of an earlier run in the same folder are reused."""
    stored = folder / "rows.md"
    if not stored.exists():
        measured = conditions()
        rows = run_case(case, data, folder, options)
        stored.write_text("\n".join([measured, *rows]), encoding="utf-8")
    measured, *rows = stored.read_text(encoding="utf-8").splitlines()
    return measured, rows


def page_of(
    title: str, measured: Sequence[tuple[Case, str]], rows: Sequence[str]
) -> str:
    """Return the page: the table, and below it the conditions of each case."""
    under = [f"- {case.name}: {each}" for case, each in measured]
    return "\n".join(["# INT8", "", title, "", HEAD, *rows, "", *under])


def _model(
    case: Case, data: Path, folder: Path, size: tuple[int, int]
) -> Model:
    """Return the imported detector, or the fitted one, which is kept in the folder."""
    if case.model is not None:
        return load(case.model)
    path = folder / "model.safetensors"
    if not path.exists():
        save(_fitted(case, data, size), path)
    return load(path)


def _fitted(case: Case, data: Path, size: tuple[int, int]) -> Model:
    chosen = {
        "backbone": case.backbone,
        "weights": case.weights,
    }
    options = FitOptions(geometry=Geometry(size), detector=chosen, folds=5)
    return fit(case.detector, data / "train/good", options)


def _rows(
    shared: str,
    sessions: Sequence[Session],
    test: Sequence[Picture],
    models: Mapping[str, Model],
    size: tuple[int, int],
) -> list[str]:
    anomalous = np.array([picture.anomalous is True for picture in test])
    frames = [picture.frame(size) for picture in test]
    times = _times(sessions, frames[0])
    found, rows = {}, []
    for session in sessions:
        scores = np.array([session.score(frame) for frame in frames])
        model = models[session.variant]
        labels = scores > model.decision.threshold
        found[session.variant, session.runtime] = labels
        expected = found["float", session.runtime]
        elapsed = times[session.variant, session.runtime]
        flips = _flips(labels != expected, session.variant == "labels")
        rows.append(
            f"| {shared} | {_layers(model)} | {session.variant} | {session.runtime} | {flips} | "
            f"{_auroc(scores, anomalous):.4f} | {_f1(labels, anomalous):.4f} | {elapsed:.1f} | "
            f"{elapsed / times['float', session.runtime]:.2f} | {session.bytes / 1e6:.1f} |"
        )
    return rows


def _flips(differs: Any, half_was_given: bool) -> str:
    """Return the number of flips; of the pictures that were not given as well, if every second one was."""
    shown = f"{int(differs.sum())} of {len(differs)}"
    if not half_was_given:
        return shown
    others = differs[1::2]
    return f"{shown}, {int(others.sum())} of {len(others)} others"


def _times(
    sessions: Sequence[Session], frame: Any, rounds: int = 30
) -> dict[tuple[str, str], float]:
    """Return the median milliseconds of each session; each round runs all of them in turn."""
    elapsed: dict[tuple[str, str], list[float]] = {}
    for turn in range(rounds + 3):
        for session in sessions:
            begin = time.perf_counter()
            session.score(frame)
            took = time.perf_counter() - begin
            if turn >= 3:
                key = (session.variant, session.runtime)
                elapsed.setdefault(key, []).append(1e3 * took)
    return {key: statistics.median(each) for key, each in elapsed.items()}


def _auroc(scores: Any, anomalous: Any) -> float:
    pairs = np.sign(scores[anomalous][:, None] - scores[~anomalous][None])
    return float(((pairs + 1) / 2).mean())


def _f1(labels: Any, anomalous: Any) -> float:
    caught = int((labels & anomalous).sum())
    return 2 * caught / max(1, int(labels.sum()) + int(anomalous.sum()))


def main() -> None:
    """Run the cases; print and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--max-flips", type=int, default=0)
    parser.add_argument(
        "--backbone",
        action="append",
        default=[LITE0],
        metavar="NAME=WEIGHTS",
        help="one more backbone, of timm, with a file of its weights",
    )
    parser.add_argument(
        "--imported",
        action="append",
        default=[],
        metavar="PICTURES=FILE",
        help="a model file of `anomedge import`, and the pictures that it was fitted to",
    )
    parser.add_argument("--only", nargs="+", metavar="CASE")
    parser.add_argument("--work", type=Path, help="folder that is kept")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    title = (
        f"`python benchmarks/int8.py --size {options.size}`; frames of the model's size, batch 1, two threads. The machine may have been busy: "
        f"compare milliseconds within a case only: its graphs were timed in turns."
    )
    rows: list[str] = []
    measured: list[tuple[Case, str]] = []
    with working_folder(options.work) as work:
        for case in all_cases(options.backbone, options.imported):
            if options.only and case.name not in options.only:
                continue
            data = options.data / PLACES[case.pictures]
            folder = work / f"{case.name}-{options.size}"
            under, more = stored_rows(case, data, folder, options)
            measured.append((case, under))
            rows += more
            write_page(options.output, page_of(title, measured, rows))


if __name__ == "__main__":
    main()
