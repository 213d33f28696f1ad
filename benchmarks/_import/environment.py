"""Other versions of anomalib, each in a folder that is put before the packages of the environment of 2.7."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXTRA = {
    "2.7.0": (),
    "2.6.2": (),
    "2.3.3": (),
    "1.2.0": (
        "certifi", "charset-normalizer", "ftfy", "idna", "imgaug==0.4.0", "open-clip-torch==2.24.0",
        "pandas==2.3.3", "python-dotenv", "pytz", "regex", "requests", "six", "tzdata", "urllib3", "wcwidth",
    ),
}  # fmt: skip
"""Packages that a version imports and 2.7 does not need."""


def overlay_of(folder: Path, version: str, python: Path) -> Path | None:
    """Return the folder of a version, installed at the first call; None for 2.7, which the environment has.

    Args:
        folder: folder of all overlays.
        version: of anomalib.
        python: interpreter of the environment.

    Raises:
        subprocess.CalledProcessError: it does not install.
    """
    if version == "2.7.0":
        return None
    target = folder / version
    stamp = target / ".installed"
    wanted = " ".join([f"anomalib=={version}", *EXTRA[version]])
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return target
    print(f"installing {wanted} into {target}", file=sys.stderr, flush=True)
    install = [
        python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--upgrade", "--target", target,
    ]  # fmt: skip
    subprocess.run([*install, *wanted.split()], check=True, stdout=sys.stderr)
    stamp.write_text(wanted, encoding="utf-8")
    return target
