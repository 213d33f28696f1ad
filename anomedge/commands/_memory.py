"""Options of `watch` with which a restart goes on where the last run ended: `--state`, `--at-most-once` and `--done`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from anomedge.bundle import Bundle
from anomedge.errors import AnomedgeError, InputError
from anomedge.station import Source
from anomedge.station.done_folder import DoneFolder
from anomedge.station.journal import Journal

__all__ = ["OpenMemory", "open_memory"]


class OpenMemory(NamedTuple):
    """The state of a station, and the folder for decided files; None where not given."""

    journal: Journal | None
    done: DoneFolder | None


def open_memory(
    state: Path | None,
    at_most_once: bool,
    done: Path | None,
    bundle: Bundle,
    source: Source,
) -> OpenMemory:
    """Open the state and the folder of decided files, and tell the source which files earlier runs have read.

    Raises:
        InputError: an option cannot be used with this source or bundle, or another station uses the state.
        OutputError: a file or folder cannot be written.
    """
    if at_most_once and state is None:
        raise InputError(
            "got --at-most-once without --state; expected the file that remembers the signals: give --state"
        )
    option = "--state" if state is not None else "--done"
    folder = source.folder
    if folder is None:
        if state is not None or done is not None:
            raise InputError(
                f"got {option} with {source.title}; expected a folder: frames of a camera or video have no files that are "
                f"still there after a restart, so leave {option} out"
            )
        return OpenMemory(None, None)
    if state is None:
        return OpenMemory(None, _done_folder(done, folder))
    if state.parent.resolve() == folder.resolve():
        raise InputError(
            f"got --state {state} in the watched folder; expected a file elsewhere: every change of it is one of the folder"
        )
    digest = bundle.manifest.digest
    journal = Journal(state, digest, folder, at_most_once=at_most_once)
    try:
        source.remember(journal)
        # Last, because it creates the folder.
        return OpenMemory(journal, _done_folder(done, folder))
    except AnomedgeError:
        journal.close()
        raise


def _done_folder(done: Path | None, folder: Path) -> DoneFolder | None:
    return None if done is None else DoneFolder(done, folder)
