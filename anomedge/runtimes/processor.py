"""Instruction sets of this machine's processor."""

from __future__ import annotations

from pathlib import Path

__all__ = ["adds_byte_products", "instruction_sets"]

_CPUINFO = Path("/proc/cpuinfo")
_BYTE_PRODUCTS = frozenset(
    {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"}
)


def instruction_sets(path: Path = _CPUINFO) -> frozenset[str]:
    """Return the names of the instruction sets as Linux gives them; none on other systems."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        name, _, values = line.partition(":")
        if name.strip() in {"flags", "Features"}:
            return frozenset(values.split())
    return frozenset()


def adds_byte_products(path: Path = _CPUINFO) -> bool:
    """Return whether the processor is known to add products of bytes in 32 bits: VNNI, AMX, SDOT."""
    return not _BYTE_PRODUCTS.isdisjoint(instruction_sets(path))
