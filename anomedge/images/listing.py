"""List the pictures, masks and unreadable entries below a folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from anomedge.errors import InputError
from anomedge.images.reading import SUFFIXES
from anomedge.names import indented

__all__ = [
    "GROUND_TRUTH",
    "Listing",
    "joined_listing",
    "list_pictures",
    "scan_folder",
]

GROUND_TRUTH = "ground_truth"
"""Name of folders whose files are masks."""
_OTHER_SUFFIXES = frozenset(
    {
        ".apng", ".arw", ".avif", ".cr2", ".cr3", ".dcm", ".dds", ".dib", ".dng", ".exr", ".gif", ".hdr", ".heic",
        ".heif", ".ico", ".j2c", ".j2k", ".jfif", ".jp2", ".jpe", ".jpf", ".jpx", ".jxl", ".nef", ".orf", ".pam",
        ".pbm", ".pcx", ".pfm", ".pgm", ".pnm", ".ppm", ".psd", ".raf", ".raw", ".rw2", ".sgi", ".svg", ".tga",
    }
)  # fmt: skip
"""Suffixes of picture formats that are not supported; such files are reported, not skipped silently."""


@dataclass(frozen=True)
class Listing:
    """Contents of a folder and its subfolders; hidden files and folders are left out.

    Attributes:
        folder: the folder that was listed.
        pictures: plain files, or links to plain files, whose suffix is in `SUFFIXES`, sorted by relative path.
        masks: the same files below a folder named `ground_truth`.
        names: names of pictures outside of the folder.
        unreadable: one line, path and reason, for each folder that cannot be listed, link to a folder, broken link,
            pipe or device with a picture's suffix, and picture in an unsupported format.
    """

    folder: Path
    pictures: list[Path] = field(default_factory=list)
    masks: list[Path] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    names: dict[Path, str] = field(default_factory=dict)

    def name(self, path: Path) -> str:
        """Return the path relative to the folder, with forward slashes; for a path outside, its name."""
        if path in self.names:
            return self.names[path]
        return path.relative_to(self.folder).as_posix()

    def require_complete(self) -> None:
        """Refuse a listing with unreadable entries.

        Raises:
            InputError: an entry is unreadable; the message lists the entries.
        """
        if self.unreadable:
            raise InputError(
                f"{self.folder}: {len(self.unreadable)} of its pictures and folders cannot be read; expected all of "
                f"them to be readable: repair, convert or move these away:{indented(self.unreadable)}"
            )

    def require_pictures(self) -> None:
        """Refuse a listing without pictures.

        Raises:
            InputError: the folder holds no picture.
        """
        if not self.pictures:
            raise InputError(
                f"{self.folder} holds no picture; expected files ending in {', '.join(sorted(SUFFIXES))}"
            )


def scan_folder(folder: Path) -> Listing:
    """List pictures, masks and unreadable entries below a folder. Links to folders are not followed.

    Raises:
        InputError: the path is not a folder, or the folder itself cannot be listed.
    """
    if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir raises where a parent may not be entered
        raise InputError(
            f"got {folder}; expected a folder of pictures: check the path"
        )
    listing = Listing(folder)
    waiting = [folder]
    while waiting:
        waiting += _scan_one(waiting.pop(), listing)
    for paths in (listing.pictures, listing.masks):
        paths.sort(key=listing.name)
    listing.unreadable.sort()
    return listing


def joined_listing(listings: Sequence[Listing]) -> Listing:
    """Join listings; names are relative to the folder that holds all of them, and no file is listed twice."""
    pictures = _by_place(path for each in listings for path in each.pictures)
    masks = _by_place(path for each in listings for path in each.masks)
    root = os.path.commonpath([Path(p).parent for p in [*pictures, *masks]])
    return Listing(
        Path(root),
        list(pictures.values()),
        [Path(place) for place in masks],
        unreadable=[line for each in listings for line in each.unreadable],
        names={
            path: Path(os.path.relpath(place, root)).as_posix()
            for place, path in pictures.items()
        },
    )


def _by_place(paths: Iterable[Path]) -> dict[str, Path]:
    """Return paths by absolute path; of equal ones, the first."""
    places: dict[str, Path] = {}
    for path in paths:
        place = os.path.abspath(path)  # noqa: PTH100 - links keep their own names
        places.setdefault(place, path)
    return places


def list_pictures(folder: Path) -> list[Path]:
    """List the pictures below a folder, sorted by relative path; masks and hidden files are left out.

    Raises:
        InputError: the path is not a folder, the folder holds no picture, or an entry is unreadable.
    """
    listing = scan_folder(folder)
    listing.require_complete()
    listing.require_pictures()
    return listing.pictures


def _scan_one(folder: Path, listing: Listing) -> list[Path]:
    """Add a folder's own entries to the listing; return its subfolders."""
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except OSError as error:
        reason = error.strerror or str(error)
        if folder == listing.folder:
            raise InputError(
                f"{folder} cannot be listed ({reason}); expected a folder that you may read"
            ) from error
        listing.unreadable.append(
            f"{folder}: the folder cannot be listed ({reason})"
        )
        return []
    shown = [entry for entry in found if not entry.name.startswith(".")]
    return [
        folder / entry.name
        for entry in shown
        if _add_entry(entry, folder / entry.name, listing)
    ]


def _add_entry(entry: os.DirEntry[str], path: Path, listing: Listing) -> bool:
    """Add an entry to the listing; return True for a folder, which the caller lists."""
    suffix = path.suffix.lower()
    try:
        mode = entry.stat().st_mode
    except OSError as error:
        vanished = (
            isinstance(error, FileNotFoundError) and not entry.is_symlink()
        )
        if not vanished and (
            suffix in SUFFIXES | _OTHER_SUFFIXES or not suffix
        ):
            what = (
                "a broken link" if entry.is_symlink() else "it cannot be read"
            )
            listing.unreadable.append(
                f"{path}: {what} ({error.strerror or error})"
            )
        return False
    if stat.S_ISDIR(mode) and not entry.is_symlink():
        return True
    if stat.S_ISDIR(mode):
        listing.unreadable.append(
            f"{path}: a link to a folder, which is not followed; give that folder itself"
        )
    elif suffix in _OTHER_SUFFIXES:
        listing.unreadable.append(
            f"{path}: pictures ending in {suffix} are not read; convert it to PNG"
        )
    elif suffix in SUFFIXES and not stat.S_ISREG(mode):
        listing.unreadable.append(
            f"{path}: a pipe or a device; expected a plain file"
        )
    elif suffix in SUFFIXES:
        is_mask = GROUND_TRUTH in path.relative_to(listing.folder).parts
        (listing.masks if is_mask else listing.pictures).append(path)
    return False
