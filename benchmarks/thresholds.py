"""Measure the rules that place a threshold, on labelled test pictures that no rule has seen.

    python benchmarks/thresholds.py -o benchmarks/results/thresholds.md --data bottle=DIR --data cookies=DIR
    python benchmarks/thresholds.py --size 64x64 --seeds 1 --normals 20      # a quick run

Each case draws some of the normal training pictures, fits a detector to them with cross-fitting, places the threshold by
every rule, and scores the test pictures with the detector that ships. The row `before` holds back a fifth of the pictures
and takes a false-alarm rate of 1 % of them, as anomedge did before cross-fitting. Data sets are folders with `train/good`
and `test` in the layout of MVTec AD; the demo's textures are made here. Features of each image are computed once.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _shared.machine import commit, processor
from PIL import Image
from torch import Tensor, nn

from anomedge import pipelines
from anomedge.commands._arguments import parse_size
from anomedge.components import FeatureExtractor
from anomedge.components.features import layers_at_strides
from anomedge.demo.textures import PictureSet, write_pictures
from anomedge.images import Picture, read_folder, read_normal
from anomedge.parity.metrics import auroc
from anomedge.pipelines.crossfit import (
    Scored,
    ScoredSample,
    Scorer,
    assign_folds,
    fit_and_score,
)
from anomedge.pipelines.data import FitData, PictureBatches
from anomedge.pipelines.decision import (
    InsensitiveWarning,
    Rule,
    ThresholdSample,
    place_threshold,
)
from anomedge.pipelines.features import FeaturePipeline
from anomedge.pipelines.remembered import RememberedExtractor
from anomedge.resample import Geometry
from anomedge.threshold import by_f1, by_false_alarm_rate

BACKBONE, WEIGHTS = "tf_efficientnet_lite0", "efficientnet-lite0"
DETECTORS = ("padim", "patchcore")
RULES = {
    "rate 1 %": Rule("rate", rate=0.01),
    "rate 5 %": Rule("rate", rate=0.05),
    "rate 10 %": Rule("rate", rate=0.1),
    "balanced": Rule("balanced"),
}
BEFORE = "before"
HELD_BACK = 0.2


class LayersOf(nn.Module):
    """Some layers of the shared backbone, in place of an extractor."""

    def __init__(self, whole: nn.Module, layers: Sequence[str]) -> None:
        super().__init__()
        places = [whole.layers.index(layer) for layer in layers]
        self.layers = list(layers)
        self.channels = [whole.channels[i] for i in places]
        self.strides = [whole.strides[i] for i in places]
        self.backbone, self.mean, self.std = BACKBONE, whole.mean, whole.std
        self._shared = [whole]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the features of these layers, of scaled images."""
        features = self._shared[0](images)
        return {layer: features[layer] for layer in self.layers}


def share(size: tuple[int, int]) -> None:
    """Let all detectors use one new backbone, which keeps the features of each image."""
    layers = layers_at_strides(BACKBONE, (4, 8, 16))
    shared = RememberedExtractor(
        FeatureExtractor(BACKBONE, layers, weights=WEIGHTS, size=size),
        most_bytes=sys.maxsize,
    )

    def build(cls: Any, data: FitData, options: Any) -> LayersOf:
        del data, options
        return LayersOf(
            shared, layers_at_strides(BACKBONE, cls.default_strides)
        )

    FeaturePipeline.build_extractor = classmethod(build)  # type: ignore[method-assign, assignment]


@dataclass(frozen=True)
class DataSet:
    """Normal pictures to fit to, and labelled pictures to test with."""

    name: str
    normal: list[Picture]
    test: list[Picture]


@dataclass(frozen=True)
class Result:
    """Figures of one rule in one case, at the threshold that it ships."""

    case: tuple[str, str, int]
    seed: int
    rule: str
    f1: float
    best_f1: float
    false_alarms: float
    recall: float
    warned: bool
    synthetic_auroc: float
    auroc: float


def resized(
    folder: Path, target: Path, size: tuple[int, int], name: str
) -> DataSet:
    """Write copies of a data set's pictures in the size of the images, to decode them fast."""
    normal = read_normal(folder / "train" / "good")
    test = read_folder(folder)
    parts = []
    for part, pictures in (("train", normal), ("test", test)):
        copies = []
        for picture in pictures:
            path = target / name / part / f"{picture.name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture.frame(size)).save(path)
            copies.append(replace(picture, path=path, read=None))
        parts.append(copies)
    return DataSet(name, *parts)


def textures(target: Path, size: tuple[int, int], texture: str) -> DataSet:
    """Make the demo's pictures of a texture: 200 normal ones, 44 to test."""
    folder = target / f"{texture}-made"
    write_pictures(
        folder, PictureSet(texture=texture, train=200, held_back=0, bad=6)
    )
    return resized(folder, target, size, texture)


def cases(
    data: DataSet, options: argparse.Namespace
) -> Iterator[tuple[int, int, list[Picture]]]:
    """Yield number, seed and normal pictures of each case of a data set."""
    counts = {min(n, len(data.normal)) for n in options.normals}
    for count in sorted(counts):
        for seed in range(options.seeds):
            generator = np.random.default_rng([seed, count])
            drawn = generator.permutation(len(data.normal))[:count]
            yield count, seed, [data.normal[i] for i in sorted(drawn)]


def measure(data: DataSet, options: argparse.Namespace) -> Iterator[Result]:
    """Yield the results of all cases of a data set."""
    for count, seed, normal in cases(data, options):
        for detector in options.detectors:
            start = time.perf_counter()
            scores = scores_of(data, detector, normal, seed, options)
            yield from judged(data, (data.name, detector, count), seed, scores)
            seconds = time.perf_counter() - start
            print(
                f"{data.name} {detector} {count} seed {seed}: {seconds:.1f} s",
                file=sys.stderr,
                flush=True,
            )


def scores_of(
    data: DataSet,
    detector: str,
    normal: list[Picture],
    seed: int,
    options: argparse.Namespace,
) -> dict[str, np.ndarray]:
    """Return the scores of one case; with --scores, from its file if there is one."""
    name = f"{data.name}-{detector}-{len(normal)}-{seed}.npz"
    if options.scores is None:
        return measured(data, detector, normal, seed, options)
    options.scores.mkdir(parents=True, exist_ok=True)
    path = options.scores / name
    if not path.exists():
        scores = measured(data, detector, normal, seed, options)
        np.savez(path, **scores)
    with np.load(path) as file:
        return dict(file)


def measured(
    data: DataSet,
    detector: str,
    normal: list[Picture],
    seed: int,
    options: argparse.Namespace,
) -> dict[str, np.ndarray]:
    """Fit a detector to all pictures, and one to four fifths; return all scores."""
    kind = pipelines.get(detector)
    given = {"coreset": options.coreset} if detector == "patchcore" else {}
    own = kind.options_class.checked(**given)
    scorer = Scorer(Geometry(options.size), 8, seed)
    folds = assign_folds(normal, kind.default_folds, seed)
    pipeline, scored = fit_and_score(
        kind, _data(normal, scorer), own, normal, folds, scorer
    )
    order = np.random.default_rng(seed).permutation(len(normal))
    held = max(2, round(len(normal) * HELD_BACK))
    fitted = [normal[i] for i in sorted(order[held:])]
    older = kind.fit(_data(fitted, scorer), own).eval()
    return {
        "normal": scored.normal.scores,
        "synthetic": scored.synthetic.scores,
        "kinds": np.array(scored.synthetic.kinds),
        "test": scorer.of_pictures(pipeline, data.test).scores,
        "older normal": scorer.of_pictures(
            older, [normal[i] for i in order[:held]]
        ).scores,
        "older test": scorer.of_pictures(older, data.test).scores,
    }


def judged(
    data: DataSet,
    case: tuple[str, str, int],
    seed: int,
    scores: dict[str, np.ndarray],
) -> Iterator[Result]:
    """Yield a result for each rule."""
    normal, defects = scores["normal"], scores["synthetic"]
    kinds = tuple(map(str, scores["kinds"]))
    sample = ScoredSample(
        Scored(normal, normal), synthetic=Scored(defects, defects, kinds)
    )
    pictures = ThresholdSample(data.normal[: normal.size], [], "benchmark")
    for name, rule in RULES.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            decision = place_threshold(sample, pictures, rule)
        warned = any(w.category is InsensitiveWarning for w in caught)
        found = decision.origin.sensitivity
        measured_auroc = found.auroc if found else float("nan")
        yield _result(
            case, seed, name, decision.threshold, scores["test"], data,
            warned, measured_auroc,
        )  # fmt: skip
    threshold = by_false_alarm_rate(scores["older normal"], 0.01).value
    yield _result(
        case, seed, BEFORE, threshold, scores["older test"], data,
        False, float("nan"),
    )  # fmt: skip


def _data(pictures: list[Picture], scorer: Scorer) -> FitData:
    batches = PictureBatches(pictures, scorer.geometry, scorer.batch, "fitting")
    return FitData(batches, scorer.geometry.image, seed=scorer.seed)


def _result(
    case: tuple[str, str, int],
    seed: int,
    rule: str,
    threshold: float,
    test: np.ndarray,
    data: DataSet,
    warned: bool,
    synthetic_auroc: float,
) -> Result:
    anomalous = np.array([bool(picture.anomalous) for picture in data.test])
    good, bad = test[~anomalous], test[anomalous]
    best = by_f1(good, bad).value
    area = auroc(test, anomalous)
    if area is None:
        raise ValueError("expected normal and anomalous test pictures")
    return Result(
        case, seed, rule, _f1(good, bad, threshold), _f1(good, bad, best),
        float((good > threshold).mean()), float((bad > threshold).mean()),
        warned, synthetic_auroc, area,
    )  # fmt: skip


def _f1(good: np.ndarray, bad: np.ndarray, threshold: float) -> float:
    hits, alarms = (bad > threshold).sum(), (good > threshold).sum()
    return float(2 * hits / (hits + alarms + bad.size))


def lines_of(results: Sequence[Result], rules: Sequence[str]) -> list[str]:
    """Return one row per case and rule: means over the seeds, and the least recall."""
    lines = [
        "| data | detector | normal | rule | F1 | best F1 | false alarms | recall | least recall | warned | AUROC | synthetic AUROC |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for case in dict.fromkeys(result.case for result in results):
        for rule in rules:
            rows = [r for r in results if r.case == case and r.rule == rule]
            name, detector, count = case
            lines.append(
                f"| {name} | {detector} | {count} | {rule} | {_mean(rows, 'f1'):.3f} | {_mean(rows, 'best_f1'):.3f} "
                f"| {_mean(rows, 'false_alarms'):.1%} | {_mean(rows, 'recall'):.1%} | {min(r.recall for r in rows):.1%} "
                f"| {sum(r.warned for r in rows)} of {len(rows)} | {_mean(rows, 'auroc'):.3f} | {_mean(rows, 'synthetic_auroc'):.3f} |"
            )
    return lines


def summary_of(results: Sequence[Result], rules: Sequence[str]) -> list[str]:
    """Return one row per rule: means over all cases, and the cases that lose half of the best rule's recall."""
    best: dict[Any, float] = {}
    for r in results:
        key = (r.case, r.seed)
        best[key] = max(best.get(key, 0.0), r.recall)
    lines = [
        "| rule | F1 | F1 at each run's best | false alarms | recall | runs below half the best rule's recall | of these without a warning |",
        "|---|---|---|---|---|---|---|",
    ]
    for rule in rules:
        rows = [r for r in results if r.rule == rule]
        low = [r for r in rows if r.recall < best[(r.case, r.seed)] / 2]
        silent = [r for r in low if not r.warned]
        lines.append(
            f"| {rule} | {_mean(rows, 'f1'):.3f} | {_mean(rows, 'best_f1'):.3f} | {_mean(rows, 'false_alarms'):.1%} "
            f"| {_mean(rows, 'recall'):.1%} | {len(low)} of {len(rows)} | {len(silent)} |"
        )
    return lines


def _mean(rows: Sequence[Result], name: str) -> float:
    return float(np.mean([getattr(row, name) for row in rows]))


def page_of(
    results: Sequence[Result], options: argparse.Namespace, seconds: float
) -> str:
    """Return the page: how it was made, a summary per part, and the table of cases."""
    made = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    took = (
        f"{seconds / 60:.0f} minutes"
        if options.scores is None
        else "scores of several runs"
    )
    size = "x".join(map(str, options.size))
    rules = [*RULES, BEFORE]
    parts = []
    for title, names in (
        (
            "Textures, on which the numbers of the rules were chosen",
            options.textures,
        ),
        (
            "Data sets on which no number was chosen",
            [n for n, _ in options.data],
        ),
    ):
        chosen = [r for r in results if r.case[0] in names]
        if chosen:
            parts += [f"## {title}", "", *summary_of(chosen, rules), ""]
    return "\n".join(
        [
            "# Rules of the threshold",
            "",
            f"`python benchmarks/thresholds.py --size {size} --seeds {options.seeds} --coreset {options.coreset:g}`, {made}, "
            f"commit {commit()}, {processor()}, {torch.get_num_threads()} threads, {took}. "
            "EfficientNet-Lite0 with its packaged weights, cross-fitting in each detector's own folds. Recall, F1 and false alarms are those of the "
            "labelled test pictures at the threshold that ships; `best F1` is the best that any threshold reaches on them. "
            f"`{BEFORE}` holds back a fifth for a false-alarm rate of 1 %. `warned`: runs with the one-line warning that the "
            "threshold misses synthetic defects or that the detector does not separate them.",
            "",
            *parts,
            "## Cases",
            "",
            *lines_of(results, rules),
            "",
        ]
    )


def data_sets(
    options: argparse.Namespace, folder: Path
) -> Iterator[Callable[[], DataSet]]:
    """Yield functions that make each data set."""
    for texture in options.textures:
        yield lambda name=texture: textures(folder, options.size, name)
    for name, path in options.data:
        yield lambda n=name, p=path: resized(p, folder, options.size, n)


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument(
        "--data", type=_named, action="append", default=[], metavar="NAME=DIR"
    )
    parser.add_argument("--textures", nargs="*", default=["gravel"])
    parser.add_argument("--detectors", nargs="+", default=list(DETECTORS))
    parser.add_argument("--size", type=parse_size, default=(256, 256))
    parser.add_argument("--normals", nargs="+", type=int, default=[20, 50, 200])
    parser.add_argument(
        "--scores",
        type=Path,
        help="a folder for the scores of each case; cases that it holds are not fitted again",
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--coreset", type=float, default=0.01)
    return parser.parse_args()


def _named(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    return name, Path(path)


def main() -> int:
    """Run, print, and write the page if requested."""
    options = parsed()
    start, results = time.perf_counter(), []
    with tempfile.TemporaryDirectory() as folder:
        for make in data_sets(options, Path(folder)):
            # Features of other data sets are not needed.
            share(options.size)
            results += list(measure(make(), options))
    text = page_of(results, options, time.perf_counter() - start)
    print(text)
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
