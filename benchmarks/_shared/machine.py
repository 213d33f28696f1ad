"""Describe the machine and the code of a measurement."""

import os
import platform
import shutil
import subprocess
from datetime import datetime, timezone
from pathlib import Path

__all__ = ["commit", "conditions", "processor"]

_SETS = ("avx2", "avx512f", "avx512_vnni", "amx_int8", "asimd", "sve")


def conditions() -> str:
    """Return date, commit, processor, instruction sets and load."""
    day = datetime.now(timezone.utc).date().isoformat()
    load = os.getloadavg()[0]
    return (
        f"{day}, commit {commit()}, {processor()}, {_instruction_sets()}, "
        f"load {load:.1f} before it started"
    )


def commit() -> str:
    """Return the commit of the code, marked if files differ from it."""
    folder, git = Path(__file__).parent, shutil.which("git") or "git"
    try:
        done = subprocess.run(
            [git, "describe", "--always", "--dirty", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def _instruction_sets() -> str:
    """Return the instruction sets that matter for inference, as Linux names them."""
    file = Path("/proc/cpuinfo")
    words = set(file.read_text().split()) if file.exists() else set()
    return " ".join(name for name in _SETS if name in words) or "unknown sets"


def processor() -> str:
    """Return the processor's model and the number of cores."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    for line in lines:
        if line.startswith("model name"):
            return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return f"{platform.machine()}, {os.cpu_count()} cores"
