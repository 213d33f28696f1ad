"""Run a worker over all cases."""

import json
import subprocess
import sys
from pathlib import Path

from anomedge.lint import vendors
from tests.lint.lint_cases import CASES

WORKERS = Path(vendors.__file__).parent / "workers"


def all_at_once(vendor, argument, folder) -> dict[str, dict]:
    """One process over every case: what it says of each."""
    files = [str(folder / f"{name}.onnx") for name in CASES]
    command = [
        sys.executable,
        "-P",
        str(WORKERS / f"{vendor}_worker.py"),
        argument,
        *files,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    lines = [
        line.removeprefix("anomedge-lint:")
        for line in done.stdout.splitlines()
        if line.startswith("anomedge-lint:")
    ]
    assert done.returncode == 0 and len(lines) == len(CASES), done.stderr[
        -2000:
    ]
    return dict(zip(CASES, map(json.loads, lines), strict=True))
