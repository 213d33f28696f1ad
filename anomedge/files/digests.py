"""Canonical JSON and SHA-256 digests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, BinaryIO

from anomedge.files.plain import open_plain

__all__ = [
    "canonical_json",
    "sha256_of_bytes",
    "sha256_of_file",
    "sha256_of_open",
]

_BLOCK = 1 << 20  # bytes


def canonical_json(value: Any) -> bytes:
    r"""Encode as JSON with sorted keys, indentation of two, UTF-8, no NaN and a final newline.

    >>> canonical_json({"b": 1, "a": [0.5]}).decode()
    '{\n  "a": [\n    0.5\n  ],\n  "b": 1\n}\n'
    """
    text = json.dumps(
        value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False
    )
    return (text + "\n").encode()


def sha256_of_bytes(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a plain file in hexadecimal, read in blocks.

    Raises:
        OSError: the file cannot be read, or is a pipe or a device.
    """
    with open_plain(path) as file:
        return sha256_of_open(file)


def sha256_of_open(file: BinaryIO) -> str:
    """SHA-256 in hexadecimal of an open file, from its current position, read in blocks."""
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()
