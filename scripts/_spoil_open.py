"""Ways to change files of a bundle below a session that is open."""

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from _copies import Copy

__all__ = ["OPENED", "unshared"]


def unshared(copy: Copy, _: Random) -> None:
    """Give the copy files of its own: the changes below are made in place, and hard links share their bytes."""
    for name in copy.names:
        copy.write(name, copy.read(name))


def overwrite(root: Path, rng: Random) -> None:
    """Write other bytes over a part of every large file."""
    for path in _files(root):
        data = bytearray(path.read_bytes())
        start = rng.randrange(len(data))
        data[start : start + 4096] = rng.randbytes(min(4096, len(data) - start))
        _in_place(path, bytes(data))


def truncate(root: Path, rng: Random) -> None:
    """Cut every file, as a full disk or an interrupted copy does."""
    for path in _files(root):
        _in_place(path, path.read_bytes()[: rng.choice([0, 1, path.stat().st_size // 2])])


def remove_all(root: Path, _: Random) -> None:
    """Remove the bundle."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(exist_ok=True)


def _files(root: Path) -> list[Path]:
    return [path for path in sorted(root.rglob("*")) if path.is_file() and path.stat().st_size]


def _in_place(path: Path, data: bytes) -> None:
    with path.open("r+b") as file:
        file.write(data)
        file.truncate(len(data))


OPENED: dict[str, Callable[[Path, Random], None]] = {
    "after opening: overwritten": overwrite,
    "after opening: truncated": truncate,
    "after opening: removed": remove_all,
}
"""Kinds of change that a session must not notice."""
