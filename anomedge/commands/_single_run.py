"""End of `watch --once`: no success if nothing was inspected, or a picture was not decided."""

from __future__ import annotations

from pathlib import Path

from anomedge.errors import InputError
from anomedge.images import SUFFIXES
from anomedge.station.counts import Summary
from anomedge.station.sources._listing import list_folder

__all__ = ["refuse_failed_run"]


def refuse_failed_run(
    summary: Summary, folder: Path | None, memory: Path | None
) -> None:
    """Refuse to end with success if frames were not decided, or if there was no picture.

    Args:
        summary: counts of the run.
        folder: the watched folder; None if frames have no files.
        memory: the path of --state or --done, if given. Then a folder without pictures is no error: earlier runs may have
            taken them.

    Raises:
        InputError: the message has the number of undecided frames, or the folder without pictures.
    """
    if summary.undecided:
        total = summary.frames + summary.undecided
        raise InputError(
            f"{summary.undecided} of {total} pictures were skipped; the error lines say why"
        )
    nothing = not summary.frames and not summary.missed
    if nothing and folder is not None and memory is None:
        _refuse_no_picture(folder)


def _refuse_no_picture(folder: Path) -> None:
    """Refuse a folder without a picture; subfolders are named as the likely place of the pictures."""
    found = list_folder(folder)
    if found.pictures:
        return
    expected = f"expected files ending in {', '.join(sorted(SUFFIXES))}"
    if "folder" in found.others.values():
        expected = "watch does not enter subfolders: give one of them"
    raise InputError(f"no picture directly in {folder}; {expected}")
