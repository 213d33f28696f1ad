"""Measure the CPU time that a station needs per frame beyond the session and the reading of the picture.

    python benchmarks/watch_cost.py -o benchmarks/results/watch_cost.md
    python benchmarks/watch_cost.py --bundle part.anomedge --pictures frames/

Each row is the CPU time (user and system) of two processes, which inspect the same pictures several times or once;
their difference, divided by the frames between, leaves out the start. `session` reads each picture and calls
`Inspector.predict`; `anomedge watch --once` reads the same files from a folder. Rounds take turns; medians are shown.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

import numpy as np
from _shared.machine import conditions
from _shared.script import working_folder, write_page
from _tiny import FRAME, tiny_bundle_elsewhere
from PIL import Image

SESSION = """
import sys
from pathlib import Path
from anomedge.inspector import Inspector
bundle, folder = sys.argv[1:]
with Inspector.open(bundle, runtime="onnxruntime", threads=1) as inspector:
    for path in sorted(Path(folder).iterdir()):
        inspector.predict(path)
"""
WAYS: dict[str, tuple[str, ...]] = {
    "watch": (),
    "watch --no-drift": ("--no-drift",),
    "watch --state": ("--state", "{work}/state"),
    "watch --sink jsonl": ("--sink", "{work}/events.jsonl"),
    "watch --state --sink jsonl": (
        "--state",
        "{work}/state",
        "--sink",
        "{work}/events.jsonl",
        "--spool",
        "{work}/spool",
    ),
}
HEAD = "| way | ms of CPU per frame | beyond the session, ms |\n|---|---|---|"


def cpu_seconds(command: Sequence[str], output: Path) -> float:
    """Return user and system time of a process, with its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with output.open("wb") as stream:
        subprocess.run(
            command,
            stdout=stream,
            check=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user, system = (
        after.ru_utime - before.ru_utime,
        after.ru_stime - before.ru_stime,
    )
    return user + system


def command_of(way: str, bundle: Path, folder: Path, work: Path) -> list[str]:
    """Return the command of a way."""
    if way == "session":
        return [sys.executable, "-c", SESSION, str(bundle), str(folder)]
    options = [each.format(work=work) for each in WAYS[way]]
    runtime = ["--runtime", "onnxruntime", "--threads", "1"]
    return [
        sys.executable,
        "-m",
        "anomedge",
        "watch",
        str(bundle),
        str(folder),
        "--once",
        *runtime,
        *options,
    ]


def measure(way: str, bundle: Path, folder: Path, work: Path) -> float:
    """Return the CPU seconds of a run with fresh files beside it."""
    own = work / "own"
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    return cpu_seconds(
        command_of(way, bundle, folder, own), work / "lines.jsonl"
    )


def write_noise(folder: Path, count: int) -> None:
    """Write pictures of noise, as PNG."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(count):
        frame = generator.integers(0, 256, (*FRAME, 3), dtype=np.uint8)
        Image.fromarray(frame).save(folder / f"{number:05d}.png")


def copied(pictures: Path, folder: Path, count: int) -> None:
    """Copy the first pictures of a folder, repeated up to a count."""
    sources = sorted(path for path in pictures.iterdir() if path.is_file())
    folder.mkdir()
    for number in range(count):
        source = sources[number % len(sources)]
        shutil.copy(source, folder / f"{number:05d}{source.suffix}")


def prepared(given: argparse.Namespace, work: Path) -> tuple[Path, Path, Path]:
    """Return the bundle, and the folders of few and of many pictures."""
    pictures = given.pictures
    if pictures is None:
        pictures = work / "pictures_of_noise"
        write_noise(pictures, 50)
    few, many = work / "few", work / "many"
    copied(pictures, few, given.few)
    copied(pictures, many, given.few + given.frames)
    bundle = given.bundle or tiny_bundle_elsewhere(work)
    return bundle, few, many


def main() -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bundle", type=Path, help="a tiny one if not given")
    parser.add_argument("--pictures", type=Path, help="noise if not given")
    parser.add_argument("--few", type=int, default=100)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    started = conditions()
    found: dict[str, list[float]] = {way: [] for way in ("session", *WAYS)}
    with working_folder(None) as work:
        bundle, few, many = prepared(given, work)
        for _ in range(given.rounds):
            for way, values in found.items():
                short = measure(way, bundle, few, work)
                long = measure(way, bundle, many, work)
                values.append(1000 * (long - short) / given.frames)
                print(f"{way}: {values[-1]:.3f} ms", file=sys.stderr)
    session = statistics.median(found["session"])
    rows = [
        f"| {way} | {statistics.median(values):.2f} | {statistics.median(values) - session:.2f} |"
        for way, values in found.items()
    ]
    title = (
        f"`python benchmarks/watch_cost.py`, {started}; {given.rounds} rounds of {given.frames} frames, ONNX Runtime with one "
        "thread, standard output to a file"
    )
    write_page(
        given.output,
        "\n".join(
            ["# Cost of a station per frame", "", title, "", HEAD, *rows]
        ),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
