"""Move the files of decided frames away, after their signals."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from itertools import count
from pathlib import Path

from anomedge.errors import InputError, OutputError
from anomedge.station.command import Report
from anomedge.station.outcome import Outcome
from anomedge.station.sources._listing import stamp_of

__all__ = ["DoneFolder"]


class DoneFolder:
    """Moves a file into a folder once its commands have run; a reaction that comes last.

    - It never replaces a file there: a second `part.png` becomes `part-1.png`.
    - A file that was overwritten since it was inspected is a new part, and stays.
    - An undecided file stays: the program that writes it may not have finished.
    - To another file system, it is copied and synced before it is removed.

    Args:
        folder: created if it does not exist.
        source: the watched folder.

    Attributes:
        report: called with a frame's name and a message if its file cannot be moved.

    Raises:
        InputError: the folder is the watched one.
        OutputError: it cannot be created.
    """

    option = "--done"
    timeout = 60.0

    report: Report

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder = folder
        if folder.resolve() == source.resolve():
            raise InputError(
                f"got --done {folder}, the watched folder; expected another, which takes the decided files"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot create {folder}: {error.strerror or error}; give --done a folder that can be written"
            ) from error

    def run(self, outcome: Outcome) -> None:
        """Move the file of a frame."""
        path = outcome.path
        if path is None or stamp_of(path) != outcome.stamp:
            return  # taken away, or a new part
        try:
            self._move(path)
        except OSError as error:
            self.report(
                outcome.name,
                f"--done could not move {path} ({error.strerror or error}); it stays, and a start without --state inspects it again",
            )

    def kill(self) -> None:
        """Do nothing: a half copy is removed, or has a hidden name."""

    def close(self) -> None:
        """Do nothing: a move leaves no process."""

    def _move(self, path: Path) -> None:
        for number in count():
            suffix = f"-{number}" if number else ""
            target = self.folder / f"{path.stem}{suffix}{path.suffix}"
            with suppress(FileExistsError):
                if not _is_same(path, target):
                    _link(path, target)
                path.unlink()
                return


def _is_same(path: Path, target: Path) -> bool:
    """Return whether the target is a second name of the file, which a kill has left."""
    return not target.is_symlink() and target.exists() and target.samefile(path)


def _link(path: Path, target: Path) -> None:
    """Give a file a second name, or copy it; never replace another file.

    Raises:
        FileExistsError: the target exists.
        OSError: neither is possible.
    """
    try:
        os.link(path, target)
        return
    except FileExistsError:
        raise
    except OSError:
        pass  # another file system, or one without links
    copy = target.with_name(f".{target.name}.copy")
    try:
        shutil.copy2(path, copy)
        with copy.open("rb+") as file:
            os.fsync(file.fileno())
        _rename(copy, target)
        _sync_folder(target.parent)
    finally:
        copy.unlink(missing_ok=True)


def _rename(copy: Path, target: Path) -> None:
    """Rename without replacing another file, as far as the file system can tell."""
    try:
        os.link(copy, target)
    except FileExistsError:
        raise
    except OSError:  # no links
        if os.path.lexists(target):
            raise FileExistsError(target) from None
        os.rename(copy, target)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # some systems cannot
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
