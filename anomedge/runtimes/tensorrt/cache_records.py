"""Files of the engine cache: content and a record with fingerprint and hash beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomedge.files import (
    JsonError,
    atomic_file,
    canonical_json,
    open_plain,
    read_json,
    sha256_of_bytes,
)
from anomedge.runtimes.options import Batches

__all__ = [
    "CachedEngine",
    "batches_in_name",
    "key_of",
    "purpose_of",
    "read_entry",
    "read_record",
    "record_path",
    "write_entry",
]

_KEY_LENGTH = 16
_LARGEST_RECORD = 1 << 20
_NO_BATCHES: Batches = (1, 1, 0)


@dataclass(frozen=True)
class CachedEngine:
    """A serialised engine, its file and its record."""

    path: Path
    plan: bytes
    record: dict[str, Any]


def key_of(facts: Mapping[str, Any]) -> str:
    """Return the part of a file name that stands for facts."""
    return sha256_of_bytes(canonical_json(facts))[:_KEY_LENGTH]


def record_path(path: Path) -> Path:
    """Return the path of a file's record."""
    return path.with_name(f"{path.name}.json")


def batches_in_name(path: Path) -> Batches:
    """Return the batches in an engine's file name; an empty range if there are none."""
    found = re.search(r"\.(\d+)-(\d+)-(\d+)\.engine$", path.name)
    if found is None:
        return _NO_BATCHES
    return int(found[1]), int(found[2]), int(found[3])


def write_entry(
    path: Path, content: bytes, record: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the content, then its record; return the record.

    A crash between the two leaves a file without a record, which is never read.

    Raises:
        OutputError: the folder cannot be written to.
    """
    full = {**record, "sha256": sha256_of_bytes(content), "bytes": len(content)}
    with atomic_file(path, force=True) as temporary:
        temporary.write_bytes(content)
    with atomic_file(record_path(path), force=True) as temporary:
        temporary.write_bytes(canonical_json(full))
    return full


def read_entry(path: Path, facts: Mapping[str, Any]) -> CachedEngine | None:
    """Read a file with these facts; None if it is missing, another's or changed."""
    record = read_record(record_path(path))
    if record is None or record.get("fingerprint") != dict(facts):
        return None
    try:
        if path.stat().st_size != record.get("bytes"):
            return None
        with open_plain(path) as file:
            content = file.read()
    except OSError:
        return None
    if sha256_of_bytes(content) != record.get("sha256"):
        return None
    return CachedEngine(path, content, record)


def read_record(path: Path) -> dict[str, Any] | None:
    """Read a record; None if it is missing or invalid."""
    try:
        return read_json(path, _LARGEST_RECORD, links=True)
    except (OSError, JsonError):
        return None


def purpose_of(record: Mapping[str, Any] | None) -> Any:
    """Return the facts of an engine apart from driver and graph; None without a valid record.

    A new engine supersedes those of the same purpose. The owner is part of it: in
    a folder with engines of several bundles, each supersedes its own.
    """
    record = record or {}
    fingerprint = record.get("fingerprint")
    if not isinstance(fingerprint, dict):
        return None
    device = fingerprint.get("device")
    if not isinstance(device, dict):
        return None
    gpu = {name: value for name, value in device.items() if name != "driver"}
    others = [fingerprint.get(x) for x in ("version", "options", "batches")]
    return (record.get("owner"), gpu, *others)
