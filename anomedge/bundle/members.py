"""Files of a bundle: find them, refuse links and devices, and describe them for the manifest."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Annotated

from pydantic import Field

from anomedge.bundle.contracts import Frozen
from anomedge.bundle.local_settings import LOCAL, LOCAL_LIMIT
from anomedge.errors import IntegrityError
from anomedge.files import is_temporary_of, sha256_of_file

__all__ = [
    "CERTIFICATES",
    "MANIFEST",
    "FileRecord",
    "describe_files",
    "hashed_files",
    "is_unhashed",
]

MANIFEST = "manifest.json"
CERTIFICATES = "certificates"
_FILE_LIMIT = 16 << 30  # bytes


class FileRecord(Frozen):
    """Size and hash of a file."""

    bytes: Annotated[int, Field(ge=0, le=_FILE_LIMIT)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def describe_files(root: Path) -> dict[str, FileRecord]:
    """Return size and SHA-256 of every file of a bundle, except manifest, certificates and local settings."""
    return {
        name: FileRecord(
            bytes=(root / name).stat().st_size,
            sha256=sha256_of_file(root / name),
        )
        for name in sorted(hashed_files(root))
    }


def hashed_files(root: Path) -> list[str]:
    """Return the names of the files that the digest covers; refuse links, pipes and devices, except below `certificates/`."""
    names = []
    for folder, folders, files in os.walk(root, onerror=_raise):
        base = Path(folder)
        for name in [*folders, *files]:
            _check_kind(base / name)
        if base == root:
            folders[:] = [name for name in folders if name != CERTIFICATES]
            files = [name for name in files if not is_unhashed(base / name)]
        names += [(base / name).relative_to(root).as_posix() for name in files]
    return names


def _check_kind(path: Path) -> None:
    """Refuse anything but plain files and folders; ignore a path that was removed after it was listed."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode):
        raise IntegrityError(
            f"{path} is a link; expected plain files: copy the bundle with links resolved"
        )
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise IntegrityError(
            f"{path} is a pipe or a device; expected plain files: copy the bundle again"
        )


def is_unhashed(path: Path) -> bool:
    """Return True for files in the root that the digest excludes: manifest, `local.json`, temporary files of `local.json`.

    Temporaries of `local.json` lie in the root because a rename is atomic only within one file system, and because
    only the root is certain to be writable when `local.json` can be replaced. A killed process leaves one behind. A
    larger file of such a name is no temporary, and may hold a graph.
    """
    if path.name in {MANIFEST, LOCAL}:
        return True
    if not is_temporary_of(path.name, LOCAL):
        return False
    try:
        return path.stat().st_size <= LOCAL_LIMIT
    except FileNotFoundError:
        return True


def _raise(error: OSError) -> None:
    """Raise the error of a folder that cannot be listed, because its files cannot be checked."""
    raise error
