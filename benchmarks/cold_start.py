"""Measure cold starts: imports, a command for one picture, and the opening of bundles; time and memory, each in a new process.

    python benchmarks/cold_start.py -o benchmarks/results/cold_start.md
    python benchmarks/cold_start.py --before 94ddbbc --anomalib ENV/bin/python --rounds 9
    python benchmarks/cold_start.py --device ENV/bin/python     # an environment such as a device has

Every row is a process of its own, measured by the operating system; rounds take turns, and medians are shown. Modules
are compiled to bytecode before, as an installation does. `--before` adds rows with the package of an earlier commit,
which writes its own bundles of the same models. `--device` names the Python of the measured processes: start times grow
with the number of installed packages, whose entry points are read. `--anomalib` adds anomalib's own export of the same weights and
statistics, opened by the runtime alone: it hashes nothing and may map the file, so that pages are read later.
`--bundle` adds a bundle that exists, and may be repeated.

The models have random weights and 256x256 pixels: PaDiM with ResNet18 and 100 channels, PatchCore with EfficientNet-Lite0.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from _cold.bundles import (
    DETECTORS,
    PROJECT,
    Made,
    black_frame,
    checkout_of,
    export_by,
    exported_by_anomalib,
    make,
)
from _cold.processes import Taken, run, run_to_json
from _shared.machine import conditions
from _shared.script import working_folder, write_page

RUNTIMES = ("onnxruntime", "openvino")
GRAPHS = {"onnxruntime": "model.onnx", "openvino": "openvino/model.xml"}
STARTS_HEAD = "| process | package | CPU, s | beyond numpy, s | wall, s | peak MB |\n|---|---|---|---|---|---|"
OPENINGS_HEAD = "| detector | runtime | opened | CPU, s | wall, s | peak MB |\n|---|---|---|---|---|---|"
NUMPY = ("import numpy", "")
VERSIONS = ("numpy", "onnxruntime", "openvino", "pydantic", "typer")
PACKAGES = """
import platform, sys
from importlib.metadata import distributions, version
named = [f"{name} {version(name)}" for name in sys.argv[1:]]
count = len(list(distributions()))
print(f"Python {platform.python_version()}, {', '.join(named)}, {count} packages")
"""

Key = tuple[str, ...]
Measure = Callable[[], Taken]


class Given(NamedTuple):
    """What is measured: the checkouts and their bundles by name, the picture, anomalib's files by detector, further bundles."""

    checkouts: dict[str, Path]
    bundles: dict[str, dict[str, Path]]
    made: Made
    theirs: dict[str, dict[str, Any]]
    work: Path
    python: str
    more: list[Path]


def starts(given: Given) -> dict[Key, Measure]:
    """Return the measurements of whole processes."""
    found: dict[Key, Measure] = {
        ("Python alone", ""): _whole(given, PROJECT, "-c", "pass"),
        NUMPY: _whole(given, PROJECT, "-c", "import numpy"),
    }
    for name, checkout in given.checkouts.items():
        code = "from anomedge import Inspector"
        found[code, name] = _whole(given, checkout, "-c", code)
        for runtime in RUNTIMES:
            bundle = given.bundles[name]["patchcore"]
            command = ["-m", "anomedge", "predict", str(bundle)]
            command += [str(given.made.picture), "--runtime", runtime]
            key = (f"anomedge predict, PatchCore, {runtime}", name)
            found[key] = _whole(given, checkout, *command)
    return found


def openings(given: Given) -> dict[Key, Measure]:
    """Return the measurements of openings without imports."""
    found: dict[Key, Measure] = {}
    for detector in DETECTORS:
        bundles = {name: each[detector] for name, each in given.bundles.items()}
        found |= _openings_of(given, detector, bundles, given.made.frame)
    for bundle in given.more:
        name, frame = black_frame(bundle, given.work)
        found |= _openings_of(given, name, {"now": bundle}, frame)
    return found


def _openings_of(
    given: Given, detector: str, bundles: dict[str, Path], frame: Path
) -> dict[Key, Measure]:
    """Return the measurements of one detector's openings under every runtime."""
    found: dict[Key, Measure] = {}
    for runtime in RUNTIMES:
        for name, path in bundles.items():
            key = (detector, runtime, f"bundle, {name}")
            checkout = given.checkouts[name]
            found[key] = _opening(given, checkout, "ours", runtime, path, frame)
        if detector in given.theirs and runtime == "onnxruntime":
            key = (detector, runtime, "anomalib's export, bare")
            path = Path(given.theirs[detector]["path"])
            found[key] = _opening(
                given, PROJECT, "theirs", runtime, path, frame
            )
        graph = bundles["now"] / GRAPHS[runtime]
        stored = given.work / f"{detector.replace(' ', '-')}.{runtime}.stored"
        _open_graph(given, PROJECT, "store", runtime, graph, stored)
        key = (detector, runtime, "what the runtime stored")
        found[key] = _opening(
            given, PROJECT, "cached", runtime, graph, frame, stored
        )
    return found


def _whole(given: Given, checkout: Path, *arguments: str) -> Measure:
    output = given.work / "output.txt"
    command = [given.python, *arguments]
    return lambda: run(command, checkout, output)


def _opening(
    given: Given,
    checkout: Path,
    way: str,
    runtime: str,
    *paths: Path,
) -> Measure:
    def measure() -> Taken:
        found = _open_graph(given, checkout, way, runtime, *paths)
        return Taken(found["cpu"], found["wall"], found["peak"])

    return measure


def _open_graph(
    given: Given, checkout: Path, way: str, runtime: str, *paths: Path
) -> Any:
    script = PROJECT / "benchmarks" / "_cold" / "open_graph.py"
    command = [given.python, str(script), way, runtime, *map(str, paths)]
    output = given.work / "output.txt"
    if way == "store":
        return run(command, checkout, output)
    return run_to_json(command, checkout, output)


def in_turns(
    measures: dict[Key, Measure], rounds: int
) -> dict[Key, list[Taken]]:
    """Return what every measurement took in each round; a first round fills the file cache and does not count."""
    found: dict[Key, list[Taken]] = {key: [] for key in measures}
    for turn in range(rounds + 1):
        print(f"round {turn} of {rounds}", file=sys.stderr, flush=True)
        for key, measure in measures.items():
            taken = measure()
            if turn:
                found[key].append(taken)
    return found


def row(key: Key, taken: list[Taken], numpy: list[Taken] | None) -> str:
    """Return a row of medians, CPU time with its smallest value; `numpy` has the rounds of its import."""
    cpu = [each.cpu for each in taken]
    cells = [*key, f"{statistics.median(cpu):.3f} (least {min(cpu):.3f})"]
    if numpy is not None:
        pairs = zip(taken, numpy, strict=True)
        beyond = [own.cpu - base.cpu for own, base in pairs]
        cells.append(f"{statistics.median(beyond):.3f}")
    cells.append(f"{statistics.median(each.wall for each in taken):.3f}")
    peak = statistics.median(each.peak for each in taken)
    cells.append(f"{peak / 1e6:.0f}")
    return f"| {' | '.join(cells)} |"


def page(given: Given, title: str, rounds: int) -> str:
    """Measure everything and return the page."""
    whole = in_turns(starts(given), rounds)
    opened = in_turns(openings(given), rounds)
    lines = ["# Cold starts", "", title, "", "## Whole processes", ""]
    lines += [STARTS_HEAD]
    lines += [row(key, taken, whole[NUMPY]) for key, taken in whole.items()]
    lines += ["", "## Openings, without imports", "", OPENINGS_HEAD]
    lines += [row(key, taken, None) for key, taken in opened.items()]
    lines += ["", *_notes(given)]
    return "\n".join(lines)


def _notes(given: Given) -> list[str]:
    """Return the notes below the tables."""
    notes = [
        "Peak MB of an opening is that of its process after one frame, imports included. A bundle is opened as programs open "
        'it: every file is hashed, and the graph is read again and hashed. "What the runtime stored" is ONNX Runtime\'s '
        "optimised model, or OpenVINO's compiled one, opened from bytes after the SHA-256 of the graph and of these bytes."
    ]
    for detector, found in given.theirs.items():
        notes.append(
            f"{detector}: raw scores of anomalib's eager model and of ours differ by {found['difference']:.1e} of the score."
        )
    return [line for note in notes for line in (note, "")][:-1]


def _compile(checkout: Path) -> None:
    """Compile the package to bytecode, as an installation does."""
    command = [sys.executable, "-m", "compileall", "-q", "anomedge"]
    subprocess.run(command, cwd=checkout, check=True)


def main() -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--before", help="commit to compare with")
    parser.add_argument("--anomalib", type=Path, help="Python with anomalib")
    parser.add_argument("--device", type=Path, help="Python to measure with")
    parser.add_argument("--bundle", type=Path, action="append", default=[])
    parser.add_argument("--work", type=Path, help="folder that is kept")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    started = conditions()
    with working_folder(options.work) as work:
        checkouts = {"now": PROJECT}
        if options.before:
            checkouts["before"] = checkout_of(options.before, work)
        made = make(work)
        bundles = {
            name: export_by(checkout, name, work)
            for name, checkout in checkouts.items()
        }
        theirs = {}
        if options.anomalib:
            theirs = exported_by_anomalib(options.anomalib, work, made.frame)
        for checkout in checkouts.values():
            _compile(checkout)
        python = str(options.device or sys.executable)
        given = Given(
            checkouts, bundles, made, theirs, work, python, options.bundle
        )
        title = _title(started, options, _packages(given))
        text = page(given, title, options.rounds)
    write_page(options.output, text)
    return 0


def _packages(given: Given) -> str:
    """Return the versions of the measured Python and its packages, and the number of all packages."""
    command = [given.python, "-c", PACKAGES, *VERSIONS]
    run(command, PROJECT, given.work / "output.txt")
    return (given.work / "output.txt").read_text(encoding="utf-8").strip()


def _title(started: str, options: argparse.Namespace, versions: str) -> str:
    """Return the sentence on the conditions."""
    before = f'; "before" is commit {options.before}' if options.before else ""
    return (
        f"`python benchmarks/cold_start.py`, {started}; {versions}; "
        f"medians of {options.rounds} rounds in turns{before}"
    )


if __name__ == "__main__":
    sys.exit(main())
