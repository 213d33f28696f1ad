"""Processor: name, usable cores, instruction sets that matter to the runtimes, memory."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path

from anomedge.doctor.base import Finding, Probe, State
from anomedge.runtimes.processor import adds_byte_products, instruction_sets

__all__ = ["Processor"]

_RELEVANT = (
    "avx2", "fma", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16",
    "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve",
)  # fmt: skip


class Processor(Probe):
    """Processor and memory of the machine."""

    name = "processor"
    title = "processor and memory"
    order = 10
    proc = Path("/proc")
    cgroup = Path("/sys/fs/cgroup")

    @classmethod
    def look(cls) -> Iterator[Finding]:
        """Read what Linux states; other systems state less."""
        cpuinfo = cls.proc / "cpuinfo"
        name = _value(cpuinfo, "model name") or platform.processor()
        usable = (
            len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count()
        )
        yield Finding("processor", f"{name or 'unnamed'}, {usable} cores")
        found = [
            each for each in _RELEVANT if each in instruction_sets(cpuinfo)
        ]
        state: State = "present" if found else "absent"
        yield Finding(
            "instruction sets", ", ".join(found) or "none known", state
        )
        if adds_byte_products(cpuinfo):
            yield Finding("INT8 products", "in hardware")
        else:
            text = "no VNNI, AMX or SDOT is known: INT8 gains less"
            yield Finding("INT8 products", text, "absent")
        yield Finding("memory", _memory(cls.proc, cls.cgroup))


def _memory(proc: Path, cgroup: Path) -> str:
    total = _value(proc / "meminfo", "MemTotal")
    free = _value(proc / "meminfo", "MemAvailable")
    text = f"{_gigabytes(total)}, {_gigabytes(free)} available"
    try:
        limit = (cgroup / "memory.max").read_text().strip()
    except OSError:
        return text
    if not limit.isdecimal():
        return text
    return f"{text}; this container may use {int(limit) / 1e9:.1f} GB"


def _gigabytes(text: str) -> str:
    kibibytes = text.split()[0] if text else ""
    if not kibibytes.isdecimal():
        return "unknown"
    return f"{int(kibibytes) * 1024 / 1e9:.1f} GB"


def _value(path: Path, name: str) -> str:
    """Return the first value of a name in a file of `name: value` lines."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
