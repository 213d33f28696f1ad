"""Make a virtual environment for anomalib; reuse it until the project file or the requirements change."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ANOMALIB = "anomalib==2.7.0"


def python_of(folder: Path, project: Path) -> Path:
    """Return the interpreter of the environment in `folder`, with this project and anomalib installed."""
    python = folder / (
        "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
    )
    wanted = f"{ANOMALIB}\n{(project / 'pyproject.toml').read_text(encoding='utf-8')}"
    stamp = folder / ".installed"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    print(
        f"installing {ANOMALIB} and the project into {folder} (8 GB, minutes the first time)",
        file=sys.stderr,
        flush=True,
    )
    if not python.exists():
        venv.create(folder, with_pip=True, symlinks=sys.platform != "win32")
    install = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    subprocess.run(
        [*install, ANOMALIB, "--editable", f"{project}[demo]"],
        check=True,
        stdout=sys.stderr,
    )
    stamp.write_text(wanted, encoding="utf-8")
    return python
