"""Exit code of `watch --once`: refuse success if nothing was inspected, or a picture was not decided."""

from __future__ import annotations

from pathlib import Path

from anomedge.errors import InputError
from anomedge.images import SUFFIXES
from anomedge.station.counts import Summary
from anomedge.station.sources._listing import list_folder

__all__ = ["refuse_no_picture", "refuse_undecided"]


def refuse_undecided(summary: Summary) -> None:
    """Refuse to end with success if frames were not decided.

    Raises:
        InputError: the number of undecided frames is in the message.
    """
    if summary.undecided:
        total = summary.frames + summary.undecided
        raise InputError(
            f"{summary.undecided} of {total} pictures were skipped; the error lines say why"
        )


def refuse_no_picture(summary: Summary, folder: Path) -> None:
    """Refuse to end with success if no frame was read and the folder itself holds no picture.

    Raises:
        InputError: the message names subfolders, if there are some, as the likely place of the pictures.
    """
    if summary.frames or summary.undecided or summary.missed:
        return
    found = list_folder(folder)
    if found.pictures:
        return
    expected = f"expected files ending in {', '.join(sorted(SUFFIXES))}"
    if "folder" in found.others.values():
        expected = "watch does not enter subfolders: give one of them"
    raise InputError(f"no picture directly in {folder}; {expected}")
