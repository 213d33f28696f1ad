"""Train detectors from the untrained weights of anomalib 2.7's model, with the same pictures in each step, on both sides.

    python benchmarks/same_start.py --data DIR -o benchmarks/results/same_start.md
    python benchmarks/same_start.py --data DIR --only stfpm --pictures bottle --seeds 0

`DIR` holds `mvtec_ad/bottle` and `cookies`, each with `train/good`, `test/<kind>`, `ground_truth/<kind>`.

anomalib's `Engine` trains its model. Its checkpoint before the first step is imported as the initial weights of our training,
whose steps have the pictures of anomalib's steps. Weights and order differ with the seed; the backbone's weights are those of
`benchmarks/detectors.py`. One step is compared apart, in float64. Both trained models are measured by the same code.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _against.environment import python_of
from _detectors.cases import CASES
from _detectors.pictures import staged
from _import.pictures import FOLDERS
from _same_start import table
from _shared.machine import conditions
from _shared.script import ran_as_child, working_folder, write_page

PROJECT = Path(__file__).resolve().parent.parent
TRAINED = [case.detector for case in CASES if case.trained]


def record_of(
    detector: str,
    pictures: Path,
    seed: int,
    work: Path,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Run a case in a process of its own; a stored record of an earlier run in the same folder is reused."""
    name = f"{detector}-{pictures.name}-{options.size}-{options.epochs}-{seed}"
    stored = work / "same-start-records" / f"{name}.json"
    if stored.exists():
        record: dict[str, Any] = json.loads(stored.read_text(encoding="utf-8"))
        return record
    stored.parent.mkdir(exist_ok=True)
    asked = {
        "name": name,
        "detector": detector,
        "pictures": str(pictures),
        "work": str(work),
        "seed": seed,
        "size": options.size,
        "epochs": options.epochs,
        "threads": options.threads,
    }
    print(name, file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        result = Path(scratch) / "result.json"
        command = [options.python, __file__, "--child", "case"]
        subprocess.run(
            [*command, json.dumps(asked), result],
            env=os.environ | {"PYTHONPATH": str(PROJECT)},
            cwd=scratch,
            check=True,
        )
        result.replace(stored)
    return record_of(detector, pictures, seed, work, options)


def _records(
    options: argparse.Namespace, work: Path
) -> Iterator[dict[str, Any]]:
    for name in options.pictures:
        pictures = staged(options.data, name, work)
        for detector in options.only:
            for seed in options.seeds:
                yield record_of(detector, pictures, seed, work, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--only", nargs="+", choices=TRAINED, default=TRAINED)
    parser.add_argument(
        "--pictures", nargs="+", choices=list(FOLDERS), default=list(FOLDERS)
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--work",
        type=Path,
        help="folder that is kept; finished cases in it are not run again",
    )
    parser.add_argument(
        "--environment",
        type=Path,
        default=PROJECT / ".venv-anomalib",
        metavar="DIR",
    )
    parser.add_argument(
        "--python",
        type=Path,
        help="interpreter with anomalib 2.7; made in --environment by default",
    )
    return parser.parse_args()


def main() -> None:
    """Run the cases; print and write the tables."""
    options = _options()
    options.python = options.python or python_of(options.environment, PROJECT)
    title = (
        f"`python benchmarks/same_start.py --size {options.size} --epochs {options.epochs}`, {conditions()}, "
        f"{options.threads} threads; anomalib 2.7.0."
    )
    with working_folder(options.work) as work:
        records = list(_records(options, work))
    write_page(options.output, table.page(records, title))


if __name__ == "__main__":
    if not ran_as_child("_same_start"):
        main()
