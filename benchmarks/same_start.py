"""Train detectors from the untrained weights of anomalib 2.7's model, with the same pictures in each step, on both sides.

    python benchmarks/same_start.py --data DIR -o benchmarks/results/same_start.md
    python benchmarks/same_start.py --data DIR --only stfpm --pictures bottle --seeds 0

`DIR` holds `mvtec_ad/bottle` and `cookies`, each with `train/good`, `test/<kind>`, `ground_truth/<kind>`.

anomalib's `Engine` trains its model. Its checkpoint before the first step is imported as the initial weights of our training,
whose steps have the pictures of anomalib's steps. Weights and order differ with the seed; the backbone's weights are those of
`benchmarks/detectors.py`. The pictures are reduced to the size of the images beforehand, so that both sides read the same
values. One step is compared apart, in float64; with the first seed, both sides train in float64 as well. All trained models are
measured by the same code.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
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
Record = dict[str, Any]
TRAINED = [case.detector for case in CASES if case.trained]
STEP_ALONE = "efficient_ad"
"""Its teacher must be downloaded, so it is compared by one step with a random one."""


def records_of(
    options: argparse.Namespace, work: Path, *, double: bool
) -> list[Record]:
    """Return the records of all cases; those that earlier runs stored in the same folder are not made again.

    All others run in one process: to import anomalib takes longer than some of them.
    """
    cases = [
        _case(detector, name, seed, work, options, double=double)
        for seed in options.seeds
        for name in options.pictures
        for detector in options.only
        if detector != STEP_ALONE
    ]
    missing = [case for case in cases if not Path(case["stored"]).exists()]
    asked = {
        "cases": missing,
        "work": str(work),
        "size": options.size,
        "epochs": options.epochs,
        "threads": options.threads,
        "double": double,
    }
    if missing:
        _run_child("case", asked, work, options)
    return [json.loads(Path(case["stored"]).read_text()) for case in cases]


def record_of_efficient_ad(
    options: argparse.Namespace, work: Path
) -> Record | None:
    """Return the record of EfficientAD's step, stored or new; None if it is not asked for."""
    if STEP_ALONE not in options.only:
        return None
    stored = _folder(work) / f"{STEP_ALONE}.json"
    if not stored.exists():
        asked = {
            "work": str(work),
            "seed": options.seeds[0],
            "threads": options.threads,
        }
        record = _run_child(STEP_ALONE, asked, work, options)
        stored.write_text(json.dumps(record), encoding="utf-8")
    found: Record = json.loads(stored.read_text(encoding="utf-8"))
    return found


def _run_child(
    step: str, asked: Record, work: Path, options: argparse.Namespace
) -> Any:
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        result = Path(scratch) / "result.json"
        command = [options.python, __file__, "--child", step]
        subprocess.run(
            [*command, json.dumps(asked), result],
            env=os.environ | {"PYTHONPATH": str(PROJECT)},
            cwd=scratch,
            check=True,
        )
        return json.loads(result.read_text(encoding="utf-8"))


def _folder(work: Path) -> Path:
    folder = work / "same-start-records"
    folder.mkdir(exist_ok=True)
    return folder


def _case(
    detector: str,
    pictures: str,
    seed: int,
    work: Path,
    options: argparse.Namespace,
    *,
    double: bool,
) -> dict[str, Any]:
    name = f"{detector}-{pictures}-{options.size}-{options.epochs}-{seed}"
    name += "-double" if double else ""
    return {
        "name": name,
        "detector": detector,
        "pictures": str(staged(options.data, pictures, work)),
        "seed": seed,
        "stored": str(_folder(work) / f"{name}.json"),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [*TRAINED, STEP_ALONE]
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--only", nargs="+", choices=names, default=names)
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


def _of_one_seed(options: argparse.Namespace) -> argparse.Namespace:
    return argparse.Namespace(**vars(options) | {"seeds": options.seeds[:1]})


def main() -> None:
    """Run the cases; print and write the tables."""
    options = _options()
    options.python = options.python or python_of(options.environment, PROJECT)
    title = (
        f"`python benchmarks/same_start.py --size {options.size} --epochs {options.epochs} --pictures {' '.join(options.pictures)}`, {conditions()}, "
        f"{options.threads} threads; anomalib 2.7.0."
    )
    with working_folder(options.work) as work:
        efficient_ad = record_of_efficient_ad(options, work)
        exact = records_of(_of_one_seed(options), work, double=True)
        records = records_of(options, work, double=False)
    page = table.page(records, exact, efficient_ad, title)
    write_page(options.output, page)


if __name__ == "__main__":
    if not ran_as_child("_same_start"):
        main()
