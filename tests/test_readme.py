"""Every command and every piece of Python in the README, run as written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(
    r"^```(\w*)\n(.*?)^```",
    (ROOT / "README.md").read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)
COMMANDS = "".join(
    line + "\n"
    for kind, block in BLOCKS
    if not kind
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith(("anomedge ", "python -m "))
)
PYTHON = [block for kind, block in BLOCKS if kind == "python"]


def test_the_readme_names_every_command_it_needs():
    verbs = {
        line.split()[1]
        for line in COMMANDS.splitlines()
        if line.startswith("anomedge ")
    }
    assert {
        "fit",
        "verify",
        "predict",
        "bench",
        "threshold",
        "watch",
        "inspect",
        "report",
        "lint",
    } <= verbs
    assert len(PYTHON) == 2


@pytest.mark.slow
def test_the_readme_runs_as_written(demo):
    folder, _ = demo
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    }
    for command in COMMANDS.splitlines():
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    for name in (
        "part.safetensors",
        "part.anomedge",
        "out/results.csv",
        "report.html",
        "parity.xml",
    ):
        assert (folder / name).exists(), name
    frame = next((folder / "demo-out" / "pictures" / "test").rglob("*.png"))
    code = PYTHON[0].replace("frame.png", str(frame))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(("normal ", "anomalous "))
    code = PYTHON[1] + "\n\ntest_the_bundle_decides_as_the_model()\n"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
