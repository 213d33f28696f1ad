"""Compiled models that a runtime exported, kept in a folder of the user's only.

An entry is a digest and the exported bytes. It is read into memory, checked, and given to the runtime as bytes: never
mapped, never opened by the runtime. Whoever can write as this user can replace an entry and its digest, as they can
replace the program itself.
"""

from __future__ import annotations

import hashlib
import os
import stat
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from anomedge.errors import InputError, OutputError
from anomedge.files import (
    atomic_file,
    canonical_json,
    open_plain,
    sha256_of_bytes,
    sweep_folder,
)

__all__ = ["VARIABLE", "CompiledModel", "folder_of_environment"]

VARIABLE = "ANOMEDGE_CACHE"
"""Environment variable with the folder for compiled models; nothing is kept without it."""

_ENDING = ".compiled"
_DIGEST_LENGTH = 64
_MOST_ENTRIES = 32
_MOST_BYTES = 2 << 30
"""Entries of a folder, and their bytes; the ones that were written first are removed, the last one stays."""


def folder_of_environment() -> Path | None:
    """Return the folder that the environment names; None if it names none."""
    given = os.environ.get(VARIABLE, "")
    return Path(given) if given else None


@dataclass(frozen=True)
class CompiledModel:
    """The compiled model of one graph on one device.

    Args:
        folder: folder of all entries; made if missing, readable and writable by this user only.
        facts: everything that the compiled model depends on.
    """

    folder: Path
    facts: Mapping[str, Any]

    @cached_property
    def path(self) -> Path:
        """File of the entry, named by the digest of the facts."""
        return self.folder / f"{sha256_of_bytes(self._key)}{_ENDING}"

    def read(self) -> bytes | None:
        """Return the exported bytes; None if there are none, or after removing an entry that is not as it was written.

        Raises:
            InputError: the folder belongs to another user or is open to others.
        """
        _require_private(self.folder)
        try:
            with open_plain(self.path, links=False) as file:
                own = _is_private(os.fstat(file.fileno()), 0o022)
                digest, content = file.read(_DIGEST_LENGTH), file.read()
        except FileNotFoundError:
            return None
        except OSError:
            own, digest, content = False, b"", b""
        if own and digest == self._digest(content):
            return content
        self.discard()
        return None

    def write(self, content: bytes) -> None:
        """Write the entry; warn if that fails, because it only saves time.

        Raises:
            InputError: as `read`.
        """
        _require_private(self.folder)
        try:
            with (
                atomic_file(self.path, force=True) as temporary,
                temporary.open("wb") as file,
            ):
                file.write(self._digest(content))
                file.write(content)
        except OutputError as error:
            warnings.warn(
                f"the compiled model is not kept: {error}", stacklevel=2
            )
        self._remove_oldest()

    def discard(self) -> None:
        """Remove the entry; one that cannot be removed is ignored, and written over later."""
        with suppress(OSError):
            self.path.unlink()

    @cached_property
    def _key(self) -> bytes:
        return canonical_json(dict(self.facts))

    def _digest(self, content: bytes) -> bytes:
        """Return the digest of the facts and the content, so that no entry serves under another's name."""
        found = hashlib.sha256(self._key)
        found.update(content)
        return found.hexdigest().encode()

    def _remove_oldest(self) -> None:
        """Keep the limits; remove what killed processes left, also of facts that do not come again, as of another release."""
        with suppress(OSError, OutputError):
            sweep_folder(self.folder, _ENDING)
            entries = [*self.folder.glob(f"*{_ENDING}")]
            found = {entry: entry.stat() for entry in entries}
            entries.sort(key=lambda each: -found[each].st_mtime_ns)
            size = 0
            for place, entry in enumerate(entries):
                size += found[entry].st_size
                beyond = place >= _MOST_ENTRIES or size > _MOST_BYTES
                if beyond and entry != self.path:
                    entry.unlink()


def _require_private(folder: Path) -> None:
    """Make the folder if it is missing; refuse one that others could write to or read.

    Raises:
        InputError: it is a link or no folder, of another user, or its mode is not 0700.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise InputError(
            f"got the cache {folder} ({error.strerror}); expected a folder of this user: set {VARIABLE} to another one"
        ) from error
    if not (stat.S_ISDIR(found.st_mode) and _is_private(found, 0o077)):
        raise InputError(
            f"got the cache {folder}, a link, another user's folder or one that others may use; "
            f"expected a folder of this user with mode 0700: chmod 700 {folder}, or set {VARIABLE} to another one"
        )


def _is_private(found: os.stat_result, refused: int) -> bool:
    """Return whether a file is this user's, without the refused permissions; systems without users have none to check."""
    user = getattr(os, "geteuid", None)
    return user is None or (
        found.st_uid == user() and not found.st_mode & refused
    )
