"""Describe the machine of a measurement."""

import os
import platform
from pathlib import Path

__all__ = ["processor"]


def processor() -> str:
    """Return the processor's model and the number of cores."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    for line in lines:
        if line.startswith("model name"):
            return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return f"{platform.machine()}, {os.cpu_count()} cores"
