"""Run the commands and the Python code of the README and the job pages."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documentation import JOBS, README, blocks, commands

PYTHON = [block.text for block in blocks(README) if block.language == "python"]
RESULTS = (
    "part.safetensors",
    "part.anomedge",
    "out/results.csv",
    "scores.csv",
    "report.html",
    "parity.xml",
)


def all_commands() -> list[str]:
    """Return the commands of the README, `fit` first, then of the pages."""
    of_readme = commands(README)
    of_readme.sort(key=lambda command: not command.startswith("anomedge fit"))
    return of_readme + [line for page in JOBS for line in commands(page)]


def test_the_pages_name_every_command():
    lines = [line for line in all_commands() if line.startswith("anomedge ")]
    assert {
        "fit",
        "verify",
        "evaluate",
        "predict",
        "bench",
        "threshold",
        "watch",
        "inspect",
        "report",
        "lint",
    } <= {line.split()[1] for line in lines}
    assert len(PYTHON) == 2


@pytest.mark.slow
def test_commands_and_code_run_as_written(demo):
    """A command that differs from an earlier one by its output runs once."""
    folder, _ = demo
    outputs: dict[str, str] = {}
    for command in all_commands():
        rest, output = without_output(command)
        if rest not in outputs:
            run_command(command, folder)
            outputs[rest] = output
        elif output != outputs[rest]:
            copy(folder / outputs[rest], folder / output)
    missing = [name for name in RESULTS if not (folder / name).exists()]
    assert missing == []
    shown = run_python(PYTHON[0], folder)
    assert shown.startswith(("normal ", "anomalous "))
    run_python(
        PYTHON[1] + "\n\ntest_the_bundle_decides_as_the_model()\n", folder
    )


def without_output(command: str) -> tuple[str, str]:
    """Split a command into its words without `-o NAME`, and the name."""
    words = command.split()
    if "-o" not in words:
        return " ".join(words), ""
    place = words.index("-o")
    rest = words[:place] + words[place + 2 :]
    return " ".join(rest), words[place + 1]


def run_command(command: str, folder: Path) -> None:
    """Run a command in bash; the environment's programs come first."""
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=os.environ | {"PATH": programs},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder."""
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def run_python(code: str, folder: Path) -> str:
    """Run code in a new process; return its output."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
