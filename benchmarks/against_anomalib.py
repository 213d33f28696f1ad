"""Compare speed, size and agreement of our graphs with anomalib 2.7's own exports, in one run.

    python benchmarks/against_anomalib.py -o benchmarks/results/against-anomalib.md
    python benchmarks/against_anomalib.py --quick            # one small bank, batch 1, three rounds: a look
    python benchmarks/against_anomalib.py --only padim --work DIR --rounds 30

It makes an environment of its own (`--environment`, 8 GB), in which anomalib fits PaDiM (ResNet18, 100 channels) and
fills PatchCore (WideResNet50-2) once, at 256x256, and exports them as its users do. The very weights and statistics are
carried into ours, both are run on the same pixels, and only then timed, in turns, under ONNX Runtime and OpenVINO.

Fed to ours: camera frames, uint8, of the model's size, so nothing is resized; to anomalib's: the floats that its users
make of them, outside the timing. Its PatchCore export takes one batch size alone, so it gets a file for each; ours is one
file for all, so under OpenVINO its shapes are open where anomalib's are fixed. Weights are random (there is no download),
with the statistics of the very pictures in every BatchNorm; speed does not depend on them.

The limit is the backbone alone in the same runtime, plus one read of the full statistics (PaDiM: the sum over as many
numbers), or plus the full product of all patches with the bank at the rate of one large MatMul (PatchCore).
PaDiM's variant with float16 storage computes in float32; it has its own tolerance (`anomedge.parity`). Exits with 3 where
raw scores or maps differ by more: in float32, by more than 1e-4 of their range. With `--int8`, the backbone is quantised as well, on
the bank of the float backbone: that shows the time, and its errors are not judged; `benchmarks/int8.py` evaluates decisions.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from _against.environment import python_of
from _against.files import INT8, INT8_SEARCH
from _against.table import Row, goals, table
from _shared.machine import processor
from _shared.script import ran_as_child, working_folder, write_page

PROJECT = Path(__file__).resolve().parent.parent
RUNTIMES = ("onnxruntime", "openvino")
BANKS = (1_000, 10_000, 20_000)
TEST = 8
QUICK: dict[str, Any] = {
    "banks": [1_000],
    "batches": [1],
    "rounds": 3,
    "train": 24,
}


class Children:
    """Run a module of `_against` in a separate process, in anomalib's environment."""

    def __init__(self, python: Path, work: Path, threads: int) -> None:
        self.python, self.work, self.threads = python, work, threads
        self.started = time.perf_counter()

    def __call__(self, name: str, **asked: Any) -> Any:
        """Return the result of the module's `main`."""
        shown = " ".join(
            str(asked[key])
            for key in ("detector", "case", "runtime", "batch", "member")
            if key in asked
        )
        print(
            f"{time.perf_counter() - self.started:6.0f} s  {name} {shown}",
            file=sys.stderr,
            flush=True,
        )
        result = self.work / "result.json"
        asked |= {"work": str(self.work), "threads": self.threads}
        command = [
            self.python,
            __file__,
            "--child",
            name,
            json.dumps(asked),
            str(result),
        ]
        environment = os.environ | {
            "PYTHONPATH": str(PROJECT),
            "OMP_NUM_THREADS": str(self.threads),
        }
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(
                f"error: {name} {shown} failed; expected it to work:\n{(done.stdout + done.stderr)[-3000:]}"
            )
        return json.loads(result.read_text(encoding="utf-8"))


def make(run: Children, options: argparse.Namespace) -> list[str]:
    """Fit and export both; return the names of the cases. Files of an earlier identical request are reused."""
    cases = []
    for detector in options.only:
        own = ["padim", "padim.fp16-storage"]
        if detector == "patchcore":
            own = [
                f"patchcore-{bank}{suffix}"
                for bank in options.banks
                for suffix in _suffixes(options)
            ]
        asked = {
            "detector": detector, "banks": options.banks, "batches": options.batches, "train": options.train,
            "test": TEST, "seed": options.seed, "data": str(options.data.resolve()) if options.data else None,
        }  # fmt: skip
        stamp = run.work / f"made-{detector}.json"
        if not stamp.exists() or json.loads(stamp.read_text()) != asked:
            run("theirs", **asked)
            stamp.write_text(json.dumps(asked))
        run("ours", case=own[0], limit=True)
        for case in own:
            run("ours", case=case)
        cases += own
    return cases


def _suffixes(options: argparse.Namespace) -> list[str]:
    """Return the variants of PatchCore's graph, as suffixes of a case."""
    search = f".{INT8_SEARCH}" if options.search == "int8" else ""
    return [search, f".{INT8}"] if options.int8 else [search]


def measure(
    run: Children, cases: list[str], options: argparse.Namespace
) -> list[Row]:
    """Return a row for each case, runtime and batch size."""
    rows = []
    for case in cases:
        for runtime in RUNTIMES:
            agreed = run(
                "agree", case=case, runtime=runtime, batches=options.batches
            )
            rows += [
                _row(run, case, runtime, batch, agreed, options)
                for batch in options.batches
            ]
    return rows


def _row(
    run: Children,
    case: str,
    runtime: str,
    batch: int,
    agreed: dict[str, Any],
    options: argparse.Namespace,
) -> Row:
    where = {"case": case, "runtime": runtime, "batch": batch}
    rounds = run(
        "timing", rounds=options.rounds, seconds=options.seconds, **where
    )["rounds"]
    ours, theirs = (
        run("alone", member=member, **where) for member in ("ours", "theirs")
    )
    return Row(
        case, runtime, batch, rounds, agreed["errors"][str(batch)], agreed["tolerance"],
        bytes=(ours["bytes"], theirs["bytes"]),
        peak=(ours["peak_bytes"], theirs["peak_bytes"]),
        load=(ours["load_seconds"], theirs["load_seconds"]),
    )  # fmt: skip


def report(
    rows: list[Row], versions: dict[str, str], options: argparse.Namespace
) -> str:
    """Return the page: method, table, goals."""
    counts = [len(row.rounds["ours"]) for row in rows]
    return "\n\n".join(
        [
            "# Our graphs beside anomalib's own export",
            f"`python benchmarks/against_anomalib.py{' --quick' if options.quick else ''}`, {processor()}, {options.threads} threads, float32, 256x256; "
            + ", ".join(
                f"{name} {version}" for name, version in versions.items()
            )
            + f". Medians of {min(counts)} rounds or more (up to {max(counts)}) taken in turns; a ratio is the median of the rounds' own, "
            "with its quartiles; `a / b` is ours / anomalib's. Errors are shares of the range. Memory and load time are "
            "those of a process that opens this graph alone.",
            table(rows),
            "The limit is the backbone alone plus one read of the statistics (PaDiM) or the full product with the bank at "
            "the rate of one large MatMul (PatchCore).",
            goals(rows),
        ]
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument(
        "--only",
        choices=("padim", "patchcore"),
        nargs=1,
        default=["padim", "patchcore"],
    )
    parser.add_argument("--banks", type=int, nargs="+", default=list(BANKS))
    parser.add_argument(
        "--search",
        choices=("fp32", "int8"),
        default="fp32",
        help="of PatchCore's bank",
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="also PatchCore with backbone and selection in INT8, for its speed",
    )
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--seconds",
        type=float,
        default=15,
        help="of rounds for one row, but three rounds at least",
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--train", type=int, default=160, help="pictures to fit on"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--data",
        type=Path,
        help="a folder with train and test; the demo's textures unless given",
    )
    parser.add_argument("--quick", action="store_true", help=f"a look: {QUICK}")
    parser.add_argument(
        "--work",
        type=Path,
        help="folder of the files; files of anomalib in it are reused",
    )
    parser.add_argument(
        "--environment",
        type=Path,
        default=PROJECT / ".venv-anomalib",
        metavar="DIR",
    )
    options = parser.parse_args()
    for name, value in QUICK.items() if options.quick else ():
        setattr(options, name, value)
    return options


def main() -> int:
    """Run, print, and write the tables if requested."""
    if ran_as_child("_against"):
        return 0
    options = _options()
    python = python_of(options.environment.absolute(), PROJECT)
    with working_folder(options.work) as work:
        run = Children(python, work, options.threads)
        cases = make(run, options)
        rows = measure(run, cases, options)
        text = report(rows, run("versions"), options)
    write_page(options.output, text)
    if any(not row.agrees for row in rows):
        print(
            "error: raw scores or maps differ by more than their tolerance: see 'over'",
            file=sys.stderr,
        )
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
