"""Save overlays of anomalous frames in a folder; keep the newest."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from PIL import Image

from anomedge.errors import OutputError
from anomedge.files import atomic_file, check_target
from anomedge.images import Frame

__all__ = ["PictureKeeper"]

_KEPT = re.compile(r"(?:(\d{8,})-)?\d{8}T\d{6}\.\d{6}Z-\d+-.*\.overlay\.png")
"""Sequence number (none in pictures of earlier releases), time, number of the frame, name."""


class PictureKeeper:
    """Saves pictures in a folder and deletes its oldest ones; never touches other files.

    A sequence number in their names, which goes on after a restart, tells which are the oldest: a clock may go back.

    Args:
        folder: created if it does not exist.
        keep: largest number of pictures, those of earlier runs included.

    Raises:
        OutputError: the folder cannot be created or written.
    """

    def __init__(self, folder: Path, keep: int = 1000) -> None:
        self.folder = folder
        self.keep = keep
        try:
            folder.mkdir(parents=True, exist_ok=True)
            check_target(folder / "overlay.png", force=True)
            names = sorted(path.name for path in folder.iterdir())
            kept = sorted(filter(_KEPT.fullmatch, names), key=_sequence)
            self._names = deque(kept)
            self._next = _sequence(kept[-1]) + 1 if kept else 1
            self._remove_temporary_files(names)
        except OSError as error:
            reason = error.strerror or str(error)
            raise OutputError(
                f"cannot write into {folder}: {reason}; give a folder that can be written"
            ) from error

    def save(
        self, picture: Frame, *, name: str, number: int, time: float
    ) -> Path:
        """Write a picture as PNG, atomically, and return its path.

        Raises:
            OutputError: it cannot be written, or an old picture cannot be deleted.
        """
        moment = datetime.fromtimestamp(time, timezone.utc).strftime(
            "%Y%m%dT%H%M%S.%fZ"
        )
        plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[-80:]
        target = (
            self.folder
            / f"{self._next:08d}-{moment}-{number:08d}-{plain}.overlay.png"
        )
        try:
            self._make_room()
            # Abandoned temporary files are removed once, in __init__.
            with atomic_file(target, force=True, sweep=False) as temporary:
                Image.fromarray(picture).save(temporary, format="PNG")
        except OSError as error:
            reason = error.strerror or str(error)
            raise OutputError(
                f"cannot write {target}: {reason}; make space, or lower --keep"
            ) from error
        self._names.append(target.name)
        self._next += 1
        return target

    def _remove_temporary_files(self, names: Sequence[str]) -> None:
        """Remove temporary files of its pictures that a killed process left."""
        for name in names:
            is_temporary = name.startswith(".") and name.endswith(".tmp")
            if is_temporary and _KEPT.match(name[1:]):
                (self.folder / name).unlink()

    def _make_room(self) -> None:
        while len(self._names) >= self.keep:
            (self.folder / self._names[0]).unlink(missing_ok=True)
            self._names.popleft()


def _sequence(name: str) -> int:
    """Return the sequence number of a picture; 0 without one."""
    found = _KEPT.fullmatch(name)
    return int(found[1]) if found and found[1] else 0
