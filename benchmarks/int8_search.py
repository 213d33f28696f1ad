"""Evaluate PatchCore's INT8 search: the share of patches that is proven on real features, and the time of the graph.

    python benchmarks/int8_search.py --data DIR --data DIR -o benchmarks/results/int8_search.md
    python benchmarks/int8_search.py --backbone tf_efficientnet_lite2=FILE.pth --banks 10000

Each `--data` has train/good and test/<kind>; the demo's textures without any. The bank is a coreset of the training
pictures, every patch is searched by the shipped component, and the proof is the graph's own (`search/proven`). Wrong is a
patch whose distance is larger than that of float64. The second table shows the time of the search alone as a graph, in
turns with the search of the whole bank: random numbers, WideResNet50's widths, 256x256.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from _shared.machine import conditions
from _shared.script import write_page
from torch import Tensor, nn

from anomedge.components import (
    FeatureExtractor,
    KCenterGreedy,
    LinearResample2d,
    MemoryBank,
)
from anomedge.components.estimators.levels import rows_on_finest
from anomedge.demo.textures import PictureSet, write_pictures
from anomedge.export.simplify import simplify
from anomedge.export.translations import TRANSLATIONS
from anomedge.images import list_pictures, read_picture, stretch
from anomedge.pipelines.patchcore import Patches
from anomedge.resample import bilinear

LAYERS = ["blocks.2", "blocks.4"]
LITE = ((127 / 255,) * 3, (128 / 255,) * 3)
"""Mean and standard deviation of the images of EfficientNet-Lite."""
SIDE, WIDTHS, GRIDS = 256, (512, 1024), ((32, 32), (16, 16))
CASES = ((4, 127), (8, 127), (8, 64))
"""Candidates, and the largest magnitude of the bank's integers."""


class Features:
    """Pooled levels of pictures.

    Args:
        backbone: a timm architecture.
        weights: packaged weights, or a file.
    """

    def __init__(self, backbone: str, weights: str) -> None:
        with warnings.catch_warnings():
            # Tensors of other names are matched by their order.
            warnings.simplefilter("ignore", UserWarning)
            self.extractor = FeatureExtractor(
                backbone, LAYERS, weights=weights
            ).eval()
        self.patches = Patches(self.extractor, (SIDE, SIDE))

    def __call__(self, picture: Path) -> list[Tensor]:
        """Return the levels of a picture, (1, d_l, h_l, w_l)."""
        pixels = np.array(stretch(read_picture(picture), (SIDE, SIDE)))
        frame = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
        mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in LITE)
        with torch.no_grad():
            return self.patches.levels(self.extractor((frame - mean) / std))

    def rows(self, levels: Sequence[Tensor]) -> Tensor:
        """Return patches (h w, d) of the levels of a picture."""
        raised = [
            rows_on_finest(x, step or nn.Identity())
            for x, step in zip(levels, self.patches.upsamplings, strict=True)
        ]
        return torch.cat(raised, dim=2)[0]


def proven(
    name: str, features: Features, data: Path, vectors: int, pictures: int
) -> Iterator[list[str]]:
    """Yield a row for each case."""
    train = list_pictures(data / "train")[:pictures]
    points = torch.cat([features.rows(features(path)) for path in train])
    count = min(vectors, len(points) // 3)
    kept = KCenterGreedy(points, (count + 0.5) / len(points)).sample_coreset()
    bank = MemoryBank(
        len(kept),
        features.extractor.channels,
        upsample=features.patches.upsamplings,
    )
    bank.fill(kept)
    twins = {case: bank.with_int8_search(*case) for case in CASES}
    counts = {case: Counts() for case in CASES}
    for path in list_pictures(data / "test"):
        levels = features(path)
        exact = torch.cdist(features.rows(levels).double(), kept.double()).amin(
            dim=1
        )
        for case, twin in twins.items():
            counts[case].add(twin, levels, exact)
    for (candidates, limit), found in counts.items():
        yield [
            name, data.name, f"{len(kept):,} x {kept.shape[1]}", str(candidates), str(limit), *found.cells(),
        ]  # fmt: skip


class Counts:
    """Counts of patches and pictures of one case."""

    def __init__(self) -> None:
        self.patches = self.proven = self.wrong = 0
        self.pictures = self.exact = 0
        self.excess = self.score = 0.0

    def add(
        self, bank: MemoryBank, levels: Sequence[Tensor], exact: Tensor
    ) -> None:
        """Count a picture, whose exact distances are (P,)."""
        found = bank.examine(levels)
        distances = found.distances[0].double()
        is_proven = found.proof.proven[0] == 1
        worst = int(distances.argmax())
        self.patches += len(exact)
        self.proven += int(is_proven.sum())
        # Float32 is off by far less, and another vector by far more.
        self.wrong += int((distances > exact * (1 + 1e-4) + 1e-4).sum())
        self.pictures += 1
        self.exact += int(is_proven[worst])
        largest = float(exact.max())
        self.score = max(self.score, float(distances.max()) / largest - 1)
        if not is_proven[worst]:
            least = (found.distances - found.proof.excess).max()
            excess = 1 - float(least / found.distances.max())
            self.excess = max(self.excess, excess)

    def cells(self) -> list[str]:
        """Return the cells of the table."""
        return [
            f"{self.proven / self.patches:.2%}",
            f"{self.exact} of {self.pictures}",
            f"{self.excess:.1%}" if self.exact < self.pictures else "-",
            f"{self.wrong} of {self.patches:,}",
            f"{self.score:.0e}",
        ]


class Searched(nn.Module):
    """Distances by one search."""

    def __init__(self, bank: MemoryBank) -> None:
        super().__init__()
        self.bank = bank

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Return distances (B, P) from the levels."""
        distances, _ = self.bank([fine, coarse])
        return distances


def timed(
    vectors: int, batch: int, rounds: int, threads: int
) -> Iterator[list[str]]:
    """Yield a row for each search: milliseconds, and the time as a share of the search of the whole bank."""
    rng = np.random.default_rng(0)
    upsample = LinearResample2d(
        *(bilinear(a, b) for a, b in zip(GRIDS[1], GRIDS[0], strict=True))
    )
    bank = MemoryBank(vectors, WIDTHS, 1, upsample=[None, upsample])
    bank.fill(torch.from_numpy(_correlated(rng, vectors, sum(WIDTHS))))
    searches = {"fp32": bank} | {
        f"int8, k {k}": bank.with_int8_search(k, 127) for k in (4, 8)
    }
    feed = {
        name: np.ascontiguousarray(
            _correlated(rng, batch * grid[0] * grid[1], width)
            .reshape(batch, *grid, width)
            .transpose(0, 3, 1, 2)
        )
        for name, width, grid in zip(
            ("fine", "coarse"), WIDTHS, GRIDS, strict=True
        )
    }
    with tempfile.TemporaryDirectory() as folder:
        runs = [
            _sessions(Searched(each), Path(folder), feed, threads)
            for each in searches.values()
        ]
    taken: list[list[list[float]]] = [[[] for _ in pair] for pair in runs]
    for turn in range(rounds + 1):
        for place, pair in enumerate(runs):
            for number, run in enumerate(pair):
                start = time.perf_counter()
                run()
                if turn:
                    taken[place][number].append(time.perf_counter() - start)
    for name, times in zip(searches, taken, strict=True):
        cells = [
            f"{1e3 * statistics.median(own):.0f} ({_share(own, whole):.2f})"
            for own, whole in zip(times, taken[0], strict=True)
        ]
        yield [f"{vectors:,}", str(batch), name, *cells]


def _correlated(rng: np.random.Generator, n: int, width: int) -> np.ndarray:
    """Return rows that differ in few directions, as features do."""
    basis = rng.standard_normal((32, width)) / 6
    rows = rng.standard_normal((n, 32)) @ basis
    return (rows + rng.standard_normal((n, width)) / 2).astype(np.float32)


def _share(own: Sequence[float], whole: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(own, whole, strict=True))


def _sessions(
    module: nn.Module, folder: Path, feed: dict[str, np.ndarray], threads: int
) -> list[Callable[[], object]]:
    """Open the module under ONNX Runtime and OpenVINO."""
    from anomedge.runtimes.imports import import_onnxruntime, import_openvino

    onnxruntime = import_onnxruntime()
    program = torch.onnx.export(
        module.eval(), tuple(torch.from_numpy(array) for array in feed.values()), dynamo=True, opset_version=18,
        input_names=list(feed), custom_translation_table=TRANSLATIONS, optimize=False, verbose=False,
    )  # fmt: skip
    simplify(program.model)
    path = folder / "search.onnx"
    onnx.save(program.model_proto, path)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, settings)
    asked = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
    }
    compiled = import_openvino().Core().compile_model(path, "CPU", asked)
    return [lambda: session.run(None, feed), lambda: compiled(feed)]


def _table(head: Sequence[str], rows: Sequence[list[str]]) -> str:
    lines = [list(head), ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--data", type=Path, action="append", default=[])
    parser.add_argument(
        "--backbone",
        action="append",
        default=["tf_efficientnet_lite0=efficientnet-lite0"],
        metavar="NAME=WEIGHTS",
        help="one more backbone, an EfficientNet-Lite of timm",
    )
    parser.add_argument("--vectors", type=int, default=3072)
    parser.add_argument(
        "--pictures", type=int, default=40, help="of training, at most"
    )
    parser.add_argument(
        "--banks",
        type=int,
        nargs="*",
        default=[1_000, 10_000, 20_000],
        help="to time; none to leave it out",
    )
    parser.add_argument("--batches", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def main() -> int:
    """Run, print, and write the tables if requested."""
    options = _options()
    where = conditions()
    with tempfile.TemporaryDirectory() as folder:
        sets = options.data
        if not sets:
            sets = [Path(folder) / "textures"]
            write_pictures(
                sets[0],
                PictureSet(
                    frame=(SIDE, SIDE), train=20, held_back=0, good=4, bad=2
                ),
            )
        shares = [
            row
            for entry in options.backbone
            for data in sets
            for row in proven(
                entry.partition("=")[0],
                Features(*entry.split("=", 1)),
                data,
                options.vectors,
                options.pictures,
            )
        ]
    times = [
        row
        for bank in options.banks
        for batch in options.batches
        for row in timed(bank, batch, options.rounds, options.threads)
    ]
    write_page(options.output, _page(where, shares, times, options.rounds))
    return 0


def _page(
    where: str,
    shares: list[list[str]],
    times: list[list[str]],
    rounds: int,
) -> str:
    return "\n\n".join(
        [
            "# PatchCore's INT8 search",
            f"`benchmarks/int8_search.py`; {where}.",
            "Limit: largest magnitude of the bank's integers. Excess: the most by which the largest distance of a picture "
            "that is not proven can be too large, as a share of it. Wrong: patches whose distance is larger than that of "
            "float64. Largest distance: how much larger than in float64, as a share, in the worst picture.",
            _table(
                ("backbone", "pictures", "bank", "k", "limit", "patches proven", "pictures proven", "excess", "wrong", "largest distance"),
                shares,
            ),
            f"The search alone, medians of {rounds} rounds in turns; in brackets the median share of fp32 in the same round.",
            _table(
                ("bank", "batch", "search", "ONNX Runtime, ms (share)", "OpenVINO, ms (share)"),
                times,
            ),
        ]
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
