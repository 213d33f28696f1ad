"""Measure time and peak memory of fitting the estimators, and anomalib's own classes, in one run.

    python benchmarks/components.py -o benchmarks/results/components.md
    python benchmarks/components.py --anomalib DIR      # the folder that holds anomalib's package, when not installed
    python benchmarks/components.py --size small        # a tenth of the data

Every cell runs in a separate process, ours and theirs in turn. Time is that of fitting (without the generation of
pictures for a stream). Memory is the peak above the process's memory before the data were made, so it includes the data
that must be held: one batch for a stream, all pictures for anomalib's Gaussian. Both take float32 data.
"""

import argparse
import importlib.util
import json
import platform
import resource
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

SIZES: dict[str, dict[str, dict[str, int]]] = {
    "full": {
        "gaussian": {"images": 500, "features": 100, "side": 64},
        "pca": {"samples": 100_000, "features": 512, "components": 64},
        "kcenter": {"samples": 20_000, "features": 384, "selected": 500},
        "kde": {"samples": 20_000, "features": 16, "queries": 256},
    },
    "small": {
        "gaussian": {"images": 50, "features": 50, "side": 32},
        "pca": {"samples": 10_000, "features": 256, "components": 64},
        "kcenter": {"samples": 4_000, "features": 128, "selected": 100},
        "kde": {"samples": 4_000, "features": 16, "queries": 64},
    },
}
BATCH = 25
# Where the classes are in anomalib's sources; its packages' own imports bring Lightning and more along.
SOURCES = {
    "anomalib.models.components.base": "base/dynamic_buffer.py",
    "anomalib.models.components.dimensionality_reduction.pca": "dimensionality_reduction/pca.py",
    "anomalib.models.components.dimensionality_reduction": "dimensionality_reduction/random_projection.py",
    "anomalib.models.components.sampling": "sampling/k_center_greedy.py",
    "anomalib.models.components.stats": "stats/multi_variate_gaussian.py",
    "anomalib.models.components.stats.kde": "stats/kde.py",
}
CLASSES = {
    "gaussian": ("anomalib.models.components.stats", "MultiVariateGaussian"),
    "pca": ("anomalib.models.components.dimensionality_reduction.pca", "PCA"),
    "kcenter": ("anomalib.models.components.sampling", "KCenterGreedy"),
    "kde": ("anomalib.models.components.stats.kde", "GaussianKDE"),
}


class Cost(NamedTuple):
    """Cost of one fit, in seconds and MB (10^6 bytes)."""

    seconds: float
    megabytes: float


class Stopwatch:
    """Callable wrapper that adds up the time of its calls."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, work: Callable[[], Any]) -> None:
        """Call the function and add its time."""
        start = time.perf_counter()
        work()
        self.seconds += time.perf_counter() - start


class PeakMemory:
    """Peak resident memory of this process, sampled every millisecond, or the system's record if higher."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self.peak = self.now()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @staticmethod
    def now() -> float:
        """Return the resident memory in MB; the peak so far if the system does not report it."""
        try:
            pages = int(
                Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
            )
            return pages * resource.getpagesize() / 1e6
        except OSError:
            unit = 1 if sys.platform == "darwin" else 1024
            return (
                resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
            )

    def _watch(self) -> None:
        while not self._stop.wait(0.001):
            self.peak = max(self.peak, self.now())

    def stop(self) -> float:
        """Return the peak in MB."""
        self._stop.set()
        self._thread.join()
        return max(self.peak, self.now())


def pictures(images: int, features: int, side: int) -> Iterator[torch.Tensor]:
    """Yield batches of embeddings, equal for both."""
    generator = torch.Generator().manual_seed(0)
    for start in range(0, images, BATCH):
        yield torch.randn(
            min(BATCH, images - start),
            features,
            side,
            side,
            generator=generator,
        )


def rows(samples: int, features: int) -> torch.Tensor:
    """Return samples with features of different scales."""
    x = torch.randn(
        samples, features, generator=torch.Generator().manual_seed(0)
    )
    # In place: another copy would be the peak.
    return x.mul_(torch.logspace(0, -2, features))


def fit_ours(estimator: str, sizes: dict[str, int], timed: Stopwatch) -> None:
    """Fit ours once, through the stopwatch."""
    from anomedge.components import (
        PCA,
        GaussianKDE,
        KCenterGreedy,
        MultiVariateGaussian,
        RunningMoments,
    )

    if estimator == "gaussian":
        patches = sizes["side"] ** 2
        gaussian, moments = (
            MultiVariateGaussian(sizes["features"], patches),
            RunningMoments(sizes["features"], patches),
        )
        for batch in pictures(**sizes):
            timed(lambda batch=batch: moments.update(batch.flatten(2)))
        timed(lambda: gaussian.fit_moments(moments))
        timed(lambda: gaussian.inv_covariance)
        return
    x = rows(sizes["samples"], sizes["features"])
    if estimator == "pca":
        timed(lambda: PCA(sizes["components"]).fit(x))
    elif estimator == "kcenter":
        timed(
            lambda: KCenterGreedy(
                x, sizes["selected"] / len(x)
            ).select_coreset_idxs()
        )
    else:
        kde = GaussianKDE()
        timed(lambda: kde.fit(x))
        timed(lambda: kde(x[: sizes["queries"]]))


def fit_theirs(estimator: str, sizes: dict[str, int], timed: Stopwatch) -> None:
    """Fit anomalib's once, through the stopwatch."""
    module, name = CLASSES[estimator]
    kind = getattr(sys.modules[module], name)
    if estimator == "gaussian":
        embedding = torch.empty(
            sizes["images"], sizes["features"], sizes["side"], sizes["side"]
        )
        for i, batch in enumerate(pictures(**sizes)):
            embedding[i * BATCH : i * BATCH + len(batch)] = batch
        timed(lambda: kind().fit(embedding))
        return
    x = rows(sizes["samples"], sizes["features"])
    if estimator == "pca":
        timed(lambda: kind(sizes["components"]).fit(x))
    elif estimator == "kcenter":
        timed(lambda: kind(x, sizes["selected"] / len(x)).select_coreset_idxs())
    else:
        kde = kind()
        timed(lambda: kde.fit(x))
        timed(lambda: kde(x[: sizes["queries"]]))


def load_anomalib(folder: Path) -> None:
    """Load anomalib's classes from their files, without the imports of its packages."""
    for name in ("anomalib", "anomalib.models", "anomalib.models.components"):
        sys.modules[name] = types.ModuleType(name)
    for name, path in SOURCES.items():
        spec = importlib.util.spec_from_file_location(
            name, folder / "anomalib" / "models" / "components" / path
        )
        if spec is None or spec.loader is None:
            raise FileNotFoundError(folder / path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)


def anomalib_folder(given: Path | None) -> Path | None:
    """Return the folder of anomalib's package: the given one, or the installed one."""
    if given is not None:
        return given
    spec = importlib.util.find_spec("anomalib")
    return (
        Path(spec.submodule_search_locations[0]).parent
        if spec and spec.submodule_search_locations
        else None
    )


def measure_here(estimator: str, size: str, anomalib: Path | None) -> Cost:
    """Measure one fit in this process."""
    sizes = SIZES[size][estimator]
    fit = fit_ours if anomalib is None else fit_theirs
    if anomalib is not None:
        load_anomalib(anomalib)
    # Loads libraries and starts threads before anything is counted.
    fit(
        estimator,
        {key: min(value, 32) for key, value in sizes.items()}
        | _tiny(estimator),
        Stopwatch(),
    )
    timed, memory = Stopwatch(), PeakMemory()
    before = memory.now()
    fit(estimator, sizes, timed)
    return Cost(timed.seconds, memory.stop() - before)


def _tiny(estimator: str) -> dict[str, int]:
    tiny = {
        "pca": {"components": 2},
        "kcenter": {"selected": 2},
        "gaussian": {"side": 4},
    }
    return tiny.get(estimator, {}) | (
        {} if estimator == "gaussian" else {"samples": 64, "features": 8}
    )


def measure(
    estimator: str, anomalib: Path | None, options: argparse.Namespace
) -> Cost | None:
    """Return the shortest time and the largest memory of several fits, each in a separate process; None on failure."""
    command = [
        sys.executable,
        __file__,
        "--cell",
        estimator,
        "--size",
        options.size,
    ]
    command += (
        [] if options.threads is None else ["--threads", str(options.threads)]
    )
    command += [] if anomalib is None else ["--anomalib", str(anomalib)]
    costs = []
    for _ in range(options.repeats):
        done = subprocess.run(
            command, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            print(done.stderr.strip().splitlines()[-1], file=sys.stderr)
            return None
        costs.append(Cost(*json.loads(done.stdout.splitlines()[-1])))
    return Cost(
        min(cost.seconds for cost in costs),
        max(cost.megabytes for cost in costs),
    )


def table(anomalib: Path | None, options: argparse.Namespace) -> str:
    """Return the table: one row per estimator."""
    lines = [
        "| fit | ours, s | anomalib, s | ratio | ours, MB | anomalib, MB | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for estimator, sizes in SIZES[options.size].items():
        ours = measure(estimator, None, options)
        if ours is None:
            raise SystemExit(
                f"error: {estimator} did not fit; expected it to: see above"
            )
        theirs = (
            None if anomalib is None else measure(estimator, anomalib, options)
        )
        shown = f"{estimator} ({', '.join(f'{value:,} {key}' for key, value in sizes.items())})"
        cells = _cells(
            ours, theirs, "not installed" if anomalib is None else "failed"
        )
        lines.append(f"| {shown} | {' | '.join(cells)} |")
        print(estimator, "measured", file=sys.stderr, flush=True)
    return "\n".join(lines)


def _cells(ours: Cost, theirs: Cost | None, absent: str) -> list[str]:
    if theirs is None:
        return [
            f"{ours.seconds:.2f}",
            absent,
            "-",
            f"{ours.megabytes:.0f}",
            absent,
            "-",
        ]
    seconds, megabytes = (
        their / our for their, our in zip(theirs, ours, strict=True)
    )
    return [
        *(f"{ours.seconds:.2f}", f"{theirs.seconds:.2f}", f"{seconds:.1f}"),
        *(
            f"{ours.megabytes:.0f}",
            f"{theirs.megabytes:.0f}",
            f"{megabytes:.1f}",
        ),
    ]


def main() -> int:
    """Run, print, and write the table if requested."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument(
        "--anomalib",
        type=Path,
        metavar="DIR",
        help="the folder that holds anomalib's package",
    )
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument(
        "--repeats",
        type=int,
        default=1,
        help="processes a cell; the fastest counts",
    )
    parser.add_argument(
        "--threads", type=int, help="of both; torch's own number unless given"
    )
    parser.add_argument("--cell", choices=CLASSES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    if arguments.cell:
        print(
            json.dumps(
                measure_here(arguments.cell, arguments.size, arguments.anomalib)
            )
        )
        return 0
    anomalib = anomalib_folder(arguments.anomalib)
    if (
        anomalib is not None
        and not (anomalib / "anomalib" / "models" / "components").is_dir()
    ):
        parser.error(
            f"got {anomalib}; expected a folder that holds anomalib/models/components"
        )
    text = (
        "# What fitting costs, beside anomalib\n\n"
        f"`python benchmarks/components.py --size {arguments.size}`, {platform.machine()}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}; ratios are anomalib's over ours, kde is fit and one batch of densities.\n\n"
        + table(anomalib, arguments)
        + "\n"
    )
    print(text)
    if arguments.output is not None:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
