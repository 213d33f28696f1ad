"""Mutations of a bundle's files under an open session."""

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from _copies import Copy

__all__ = ["OPENED", "unshared"]


def unshared(copy: Copy, _: Random) -> None:
    """Replace the copy's hard links by independent files, because the mutations below write in place."""
    for name in copy.names:
        copy.write(name, copy.read(name))


def overwrite(root: Path, rng: Random) -> None:
    """Overwrite up to 4 KiB of every file with random bytes."""
    for path in _files(root):
        data = bytearray(path.read_bytes())
        start = rng.randrange(len(data))
        data[start : start + 4096] = rng.randbytes(min(4096, len(data) - start))
        _in_place(path, bytes(data))


def truncate(root: Path, rng: Random) -> None:
    """Truncate every file, as a full disk or an interrupted copy does."""
    for path in _files(root):
        _in_place(
            path,
            path.read_bytes()[: rng.choice([0, 1, path.stat().st_size // 2])],
        )


def remove_all(root: Path, _: Random) -> None:
    """Delete the bundle's files."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(exist_ok=True)


def _files(root: Path) -> list[Path]:
    return [
        path
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.stat().st_size
    ]


def _in_place(path: Path, data: bytes) -> None:
    with path.open("r+b") as file:
        file.write(data)
        file.truncate(len(data))


OPENED: dict[str, Callable[[Path, Random], None]] = {
    "after opening: overwritten": overwrite,
    "after opening: truncated": truncate,
    "after opening: removed": remove_all,
}
"""Kinds of mutation that must not affect an open session."""
