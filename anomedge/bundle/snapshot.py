"""States of all files of a bundle, to notice changes without reading the files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from anomedge.bundle.local_place import local_files
from anomedge.bundle.members import CERTIFICATES, MANIFEST, is_unhashed
from anomedge.bundle.opened import Bundle

__all__ = ["FileState", "file_state", "local_names", "snapshot"]

FileState = tuple[int, ...] | None
"""Inode, size in bytes, modification time and change time in ns of a file; None if it does not exist.

The change time cannot be put back after a write.
"""


def snapshot(bundle: Bundle) -> dict[str, FileState]:
    """Return the state of every file at a bundle's path now, certificates left out, and of its local settings.

    Local settings have their whole path as name, other files the path below the bundle.
    """
    states = {
        path.relative_to(bundle.path).as_posix(): file_state(path)
        for path in _files(bundle.path)
    }
    return states | {
        name: file_state(Path(name)) for name in local_names(bundle)
    }


def local_names(bundle: Bundle) -> set[str]:
    """Return the names that local settings have in a snapshot."""
    found = local_files(
        bundle.path, bundle.manifest.digest, bundle.local_folder
    )
    return {str(path.absolute()) for path in found}


def file_state(path: Path) -> FileState:
    """Return the state of a file; links are not followed."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _files(root: Path) -> Iterator[Path]:
    """Yield the files that the digest covers, the manifest, and links to folders, which an export never writes."""
    for folder, folders, files in os.walk(root):
        base = Path(folder)
        if base == root:
            folders[:] = [name for name in folders if name != CERTIFICATES]
            files = [
                name
                for name in files
                if name == MANIFEST or not is_unhashed(base / name)
            ]
        yield from (base / name for name in files)
        yield from (
            base / name for name in folders if (base / name).is_symlink()
        )
