"""Evaluate an exact search over a part of the memory bank: how often it is proven, and its time (decision 0012).

    python benchmarks/exact_search.py -o benchmarks/results/exact-search.md
    python benchmarks/exact_search.py --data DIR        # train/good and test/<kind> of your own; the demo's textures else

After a rotation by the bank's principal axes, the distance in the first k coordinates, with the norm of the rest as one
more, is a lower bound of the full distance. The C vectors with the smallest bounds are measured in full; if the next
bound is not below the smallest distance measured, the nearest vector is proven. The first table shows how often this
happens, for patches of EfficientNet-Lite0 with ImageNet weights; a picture is proven if all of its patches are. The
second table shows the time of such a search as a graph, relative to the full search: random numbers, WideResNet50's
widths, 256x256.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from anomedge.components import (
    FeatureExtractor,
    KCenterGreedy,
    LinearResample2d,
    MemoryBank,
)
from anomedge.demo.textures import PictureSet, write_pictures
from anomedge.images import list_pictures, read_picture, stretch
from anomedge.pipelines.patchcore import Patches
from anomedge.resample import bilinear

LAYERS = ["blocks.2", "blocks.4", "blocks.6"]
SIDE, WIDTHS, GRIDS = 256, (512, 1024), ((32, 32), (16, 16))
KEPT = (64, 128, 256)
CANDIDATES = (8, 32, 128)


class BoundedSearch(nn.Module):
    """Search by k rotated coordinates, a residual and C candidates; also states whether a picture is proven."""

    def __init__(self, vectors: Tensor, kept: int, candidates: int) -> None:
        super().__init__()
        # Any rotation has the same cost.
        axes = torch.linalg.qr(torch.randn(vectors.shape[1], kept))[0]
        low = vectors @ axes
        rest = (
            (vectors.square().sum(dim=1) - low.square().sum(dim=1))
            .clamp(min=0)
            .sqrt()
        )
        self.candidates = candidates
        self.register_buffer("vectors", vectors)
        self.register_buffer("low", torch.cat([low, rest[:, None]], dim=1))
        self.register_buffer("half_norms", vectors.square().sum(dim=1) / 2)
        self.register_buffer("axes", axes)
        self.upsample = LinearResample2d(
            *(bilinear(a, b) for a, b in zip(GRIDS[1], GRIDS[0], strict=True))
        )

    def forward(self, fine: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """Compute distances (B, P) and proven (B,) from the levels."""
        patches = (
            torch.cat([fine, self.upsample(coarse)], dim=1)
            .flatten(2)
            .transpose(1, 2)
            .flatten(0, 1)
        )
        low, norms = (
            patches @ self.get_buffer("axes"),
            patches.square().sum(dim=1),
        )
        rest = (norms - low.square().sum(dim=1)).clamp(min=0).sqrt()
        seen = -torch.cat([low, rest[:, None]], dim=1)
        bounds, rows = torch.addmm(
            self.get_buffer("half_norms"), seen, self.get_buffer("low").T
        ).topk(self.candidates + 1, dim=1, largest=False)
        members = self.get_buffer("vectors").index_select(
            0, rows[:, :-1].flatten()
        )
        least = (
            (
                members.reshape(-1, self.candidates, patches.shape[1])
                - patches[:, None]
            )
            .square()
            .sum(dim=2)
            .amin(1)
        )
        proven = (2 * bounds[:, -1] + norms >= least).reshape(
            -1, GRIDS[0][0] * GRIDS[0][1]
        )
        return least.sqrt().reshape(proven.shape), proven.float().amin(dim=1)


class WholeSearch(nn.Module):
    """Full search, as exported."""

    def __init__(self, vectors: Tensor) -> None:
        super().__init__()
        upsample = LinearResample2d(
            *(bilinear(a, b) for a, b in zip(GRIDS[1], GRIDS[0], strict=True))
        )
        self.bank = MemoryBank(
            len(vectors), WIDTHS, num_neighbors=1, upsample=[None, upsample]
        )
        self.bank.fill(vectors)

    def forward(self, fine: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """Compute distances (B, P) and score (B,) from the levels."""
        distances, score = self.bank([fine, coarse])
        return distances, score


def patches_of(pictures: Sequence[Path]) -> list[Tensor]:
    """Return the patches of each picture, float64 (P, d)."""
    extractor = FeatureExtractor(
        "tf_efficientnet_lite0", LAYERS, weights="efficientnet-lite0"
    ).eval()
    patches = Patches(extractor, (SIDE, SIDE))
    mean, std = (
        torch.tensor(values).reshape(1, 3, 1, 1)
        for values in (extractor.mean, extractor.std)
    )
    found = []
    for picture in pictures:
        frame = (
            torch.from_numpy(
                np.array(stretch(read_picture(picture), (SIDE, SIDE)))
            ).permute(2, 0, 1)[None]
            / 255
        )
        with torch.no_grad():
            found.append(patches(extractor((frame - mean) / std))[0].double())
    return found


def proven(
    train: Sequence[Path], test: dict[str, list[Path]], vectors: int
) -> Iterator[list[str]]:
    """Return a row for each kind of picture and each k: shares proven at each C."""
    points = torch.cat(patches_of(train))
    count = min(vectors, len(points) // 3)
    bank = KCenterGreedy(points, (count + 0.5) / len(points)).sample_coreset()
    centre = bank.mean(dim=0)
    axes = torch.linalg.eigh((bank - centre).T @ (bank - centre))[1].flip(1)
    rotated = (bank - centre) @ axes
    for kind, pictures in test.items():
        needed = {kept: [] for kept in KEPT}  # type: dict[int, list[Tensor]]
        for patches in patches_of(pictures):
            seen = (patches - centre) @ axes
            least = torch.cdist(seen, rotated).amin(dim=1, keepdim=True)
            for kept, counts in needed.items():
                residuals = seen[:, kept:].norm(dim=1)[:, None] - rotated[
                    :, kept:
                ].norm(dim=1)
                bounds = (
                    torch.cdist(seen[:, :kept], rotated[:, :kept]).square()
                    + residuals.square()
                ).sqrt()
                counts.append((bounds < least * (1 - 1e-9)).sum(dim=1))
        for kept, counts in needed.items():
            each = torch.stack(counts)
            shares = [
                f"{float((each <= c).double().mean()):.2f}, {float((each <= c).all(dim=1).double().mean()):.2f}"
                for c in CANDIDATES
            ]
            yield [
                f"{kind} ({len(pictures)})",
                f"{count:,} x {bank.shape[1]}",
                str(kept),
                *shares,
            ]


def timed(vectors: int, rounds: int, folder: Path) -> Iterator[list[str]]:
    """Return a row for each search: time as a share of the full search, under each runtime."""
    torch.manual_seed(0)
    bank = torch.randn(vectors, sum(WIDTHS))
    searches: dict[str, nn.Module] = {"the bank's own": WholeSearch(bank)}
    for kept, candidates in ((128, 32), (256, 8), (256, 32), (256, 128)):
        searches[f"k {kept}, C {candidates}"] = BoundedSearch(
            bank, kept, candidates
        )
    feed = {
        name: np.random.default_rng(0).standard_normal(
            (1, width, *grid), dtype=np.float32
        )
        for name, width, grid in zip(
            ("fine", "coarse"), WIDTHS, GRIDS, strict=True
        )
    }
    runs = [
        _sessions(module.eval(), folder / f"{place}.onnx", feed)
        for place, module in enumerate(searches.values())
    ]
    taken: list[list[list[float]]] = [[[] for _ in pair] for pair in runs]
    for turn in range(rounds + 1):
        for place, pair in enumerate(runs):
            for number, run in enumerate(pair):
                start = time.perf_counter()
                run()
                if turn:
                    taken[place][number].append(time.perf_counter() - start)
    medians = [[statistics.median(times) for times in pair] for pair in taken]
    for name, pair in zip(searches, medians, strict=True):
        shown = [
            f"{1e3 * own:.0f} ({own / whole:.2f})"
            for own, whole in zip(pair, medians[0], strict=True)
        ]
        yield [f"{vectors:,}", name, *shown]


def _sessions(
    module: nn.Module, path: Path, feed: dict[str, np.ndarray]
) -> list[Callable[[], object]]:
    """Open the module under ONNX Runtime and OpenVINO, with two threads."""
    from anomedge.runtimes.imports import import_onnxruntime, import_openvino

    onnxruntime = import_onnxruntime()
    example = tuple(torch.from_numpy(array) for array in feed.values())
    program = torch.onnx.export(
        module,
        example,
        dynamo=True,
        opset_version=18,
        input_names=list(feed),
        verbose=False,
    )
    if program is None:
        raise SystemExit("error: torch exported nothing; expected a graph")
    program.save(path)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(path, settings)
    asked = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 2}
    compiled = import_openvino().Core().compile_model(path, "CPU", asked)
    return [lambda: session.run(None, feed), lambda: compiled(feed)]


def _table(head: Sequence[str], rows: Iterator[list[str]]) -> str:
    lines = [list(head), ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _pictures(
    data: Path | None, folder: Path
) -> tuple[list[Path], dict[str, list[Path]]]:
    if data is None:
        data = folder
        write_pictures(
            data,
            PictureSet(
                frame=(SIDE, SIDE), train=60, held_back=0, good=8, bad=8
            ),
        )
    kinds = sorted(path for path in (data / "test").iterdir() if path.is_dir())
    anomalous = [
        picture
        for kind in kinds
        if kind.name != "good"
        for picture in list_pictures(kind)[:4]
    ]
    return list_pictures(data / "train"), {
        "normal": list_pictures(data / "test" / "good")[:8],
        "anomalous": anomalous,
    }


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
        help="a folder with train and test; the demo's textures unless given",
    )
    parser.add_argument("--vectors", type=int, default=10_000)
    parser.add_argument(
        "--banks",
        type=int,
        nargs="*",
        default=[10_000, 20_000],
        help="to time; none to leave it out",
    )
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        train, test = _pictures(options.data, Path(folder))
        shares = _table(
            (
                "pictures",
                "bank",
                "k",
                *(f"C {c}: patches, pictures" for c in CANDIDATES),
            ),
            proven(train, test, options.vectors),
        )
        times = [
            timed(bank, options.rounds, Path(folder)) for bank in options.banks
        ]
        rows = (row for part in times for row in part)
        taken = _table(
            (
                "bank",
                "search",
                "ONNX Runtime, ms (share)",
                "OpenVINO, ms (share)",
            ),
            rows,
        )
    where = options.data.name if options.data else "the demo's textures"
    text = (
        f"# An exact search that looks at less\n\n`benchmarks/exact_search.py`, {where}: share proven.\n\n{shares}\n\n"
        f"The search alone, medians of {options.rounds} in turns, batch 1, two threads; in brackets as a share of the "
        f"bank's own.\n\n{taken}\n"
    )
    print(text)
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
