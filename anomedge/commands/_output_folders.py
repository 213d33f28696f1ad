"""Folders that a command writes into: made before its work, and gone if it fails before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from anomedge.errors import InputError, OutputError

__all__ = ["output_folders"]


@contextmanager
def output_folders(
    pictures: Sequence[Path], folders: Iterable[Path | None]
) -> Iterator[None]:
    """Create output folders; if the block fails, remove those that are still empty and were not there before.

    Raises:
        InputError: one lies in a folder of pictures.
        OutputError: one cannot be made.
    """
    wanted = [folder for folder in folders if folder is not None]
    for folder in wanted:
        for place in pictures:
            _refuse_inside(folder, place)
    made: list[Path] = []
    try:
        for folder in wanted:
            made += _absent(folder)
            _make(folder)
        yield
    except BaseException:
        for folder in reversed(made):
            with suppress(OSError):  # It has files, or was not made.
                folder.rmdir()
        raise


def _refuse_inside(folder: Path, pictures: Path) -> None:
    if pictures.is_dir() and folder.resolve().is_relative_to(
        pictures.resolve()
    ):
        raise InputError(
            f"got {folder} inside {pictures}; expected another folder: the next run would inspect it"
        )


def _absent(folder: Path) -> list[Path]:
    """Return the folders, outermost first, that making this one makes."""
    every = [folder, *folder.parents]
    return [path for path in reversed(every) if not path.exists()]


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot make {folder}: {error.strerror or error}; give a writable folder"
        ) from error
